package main

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// fleet publishes as many MQTT devices, each over a connection of its own, as
// real loggers do: at least once, and what is not acknowledged is sent again
// after a reconnect.
type fleet struct {
	broker   string
	password func(device string) string
	mu       sync.Mutex // guards clients
	clients  map[string]mqtt.Client
}

func newFleet(rawURL string, password func(device string) string) (*fleet, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("broker %q: write it as mqtt://HOST:PORT or mqtts://HOST:PORT", rawURL)
	}
	switch u.Scheme {
	case "mqtt", "tcp":
		u.Scheme = "tcp"
	case "mqtts", "ssl", "tls":
		u.Scheme = "ssl"
	default:
		return nil, fmt.Errorf("broker %q: scheme %q is neither mqtt nor mqtts", rawURL, u.Scheme)
	}
	if u.Port() == "" {
		u.Host += map[string]string{"tcp": ":1883", "ssl": ":8883"}[u.Scheme]
	}
	if password == nil {
		password = func(string) string { return "" }
	}
	return &fleet{broker: u.String(), password: password, clients: map[string]mqtt.Client{}}, nil
}

// client returns the connection of a device, made on first use.
func (f *fleet) client(ctx context.Context, device string) (mqtt.Client, error) {
	f.mu.Lock()
	c := f.clients[device]
	f.mu.Unlock()
	if c != nil {
		return c, nil
	}
	o := mqtt.NewClientOptions().AddBroker(f.broker).SetClientID(device).SetUsername(device).SetPassword(f.password(device)).
		SetCleanSession(false).SetAutoReconnect(true).SetMaxReconnectInterval(5 * time.Second).
		SetKeepAlive(30 * time.Second).SetConnectTimeout(10 * time.Second).SetOrderMatters(false)
	c = mqtt.NewClient(o)
	if err := wait(ctx, c.Connect()); err != nil {
		return nil, fmt.Errorf("connect %s to %s: %w", device, f.broker, err)
	}
	f.mu.Lock()
	f.clients[device] = c
	f.mu.Unlock()
	return c, nil
}

// publish sends a message with QoS 1; the token completes with its
// acknowledgement.
func (f *fleet) publish(ctx context.Context, device, topic string, payload []byte) (mqtt.Token, error) {
	c, err := f.client(ctx, device)
	if err != nil {
		return nil, err
	}
	return c.Publish(topic, 1, false, payload), nil
}

func wait(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close disconnects every device.
func (f *fleet) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.clients {
		c.Disconnect(250)
	}
}
