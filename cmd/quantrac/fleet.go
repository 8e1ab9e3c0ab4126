package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// fleet publishes as many MQTT devices, each over a connection of its own, as
// real loggers do: at least once, and what is not acknowledged is sent again
// after a reconnect.
type fleet struct {
	broker   string
	password func(device string) string
	log      *slog.Logger
	mu       sync.Mutex // guards clients
	clients  map[string]*device
}

// device is the connection of one device and what it has still to hear of.
type device struct {
	mqtt.Client
	unacked *unacked
}

func newFleet(rawURL string, password func(device string) string, log *slog.Logger) (*fleet, error) {
	broker, _, err := brokerAddress(rawURL)
	if err != nil {
		return nil, named("mqtt", err)
	}
	if password == nil {
		password = func(string) string { return "" }
	}
	return &fleet{broker: broker, password: password, log: log, clients: map[string]*device{}}, nil
}

// client returns the connection of a device, made on first use.
func (f *fleet) client(ctx context.Context, id string) (*device, error) {
	f.mu.Lock()
	d := f.clients[id]
	f.mu.Unlock()
	if d != nil {
		return d, nil
	}
	d = &device{unacked: newUnacked()}
	d.Client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker(f.broker).SetClientID(id).SetUsername(id).SetPassword(f.password(id)).
		SetCleanSession(false).SetAutoReconnect(true).SetMaxReconnectInterval(5 * time.Second).SetStore(d.unacked).
		SetKeepAlive(30 * time.Second).SetConnectTimeout(10 * time.Second).SetOrderMatters(false).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) {
			f.log.Warn("connection lost; trying again until the broker is back", "device", id, "err", err)
		}))
	if err := wait(ctx, d.Connect()); err != nil {
		return nil, fmt.Errorf("connect %s to %s: %w", id, f.broker, err)
	}
	f.mu.Lock()
	f.clients[id] = d
	f.mu.Unlock()
	return d, nil
}

// publish sends a message with QoS 1.
func (f *fleet) publish(ctx context.Context, id, topic string, payload []byte) (*delivery, error) {
	d, err := f.client(ctx, id)
	if err != nil {
		return nil, err
	}
	return &delivery{d, d.Publish(topic, 1, false, payload)}, nil
}

// delivery is a message on its way.
type delivery struct {
	device *device
	token  mqtt.Token
}

// wait returns once the broker has acknowledged the message.
func (d *delivery) wait(ctx context.Context) error {
	if err := wait(ctx, d.token); err != nil {
		return err
	}
	// The library calls a publication over also when it has sent it again on a
	// new connection, and not yet heard of it.
	if p, ok := d.token.(*mqtt.PublishToken); ok {
		return d.device.unacked.wait(ctx, p.MessageID())
	}
	return nil
}

// unacked is the store in which the library keeps a message until the broker
// has acknowledged it.
type unacked struct {
	*mqtt.MemoryStore
	mu   sync.Mutex
	keys map[string]bool
	gone chan struct{} // closed, and replaced, when one has gone
}

func newUnacked() *unacked {
	return &unacked{MemoryStore: mqtt.NewMemoryStore(), keys: map[string]bool{}, gone: make(chan struct{})}
}

// Put implements mqtt.Store.
func (u *unacked) Put(key string, p packets.ControlPacket) {
	u.MemoryStore.Put(key, p)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.keys[key] = true
}

// Del implements mqtt.Store.
func (u *unacked) Del(key string) {
	u.MemoryStore.Del(key)
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.keys, key)
	close(u.gone)
	u.gone = make(chan struct{})
}

// wait returns once the message of an identifier has gone; one that took over
// the identifier since is waited for too.
func (u *unacked) wait(ctx context.Context, id uint16) error {
	key := fmt.Sprintf("o.%d", id) // as the library names outgoing messages
	for {
		u.mu.Lock()
		waits, gone := u.keys[key], u.gone
		u.mu.Unlock()
		if !waits {
			return nil
		}
		select {
		case <-gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func wait(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close disconnects every device, all at once: one whose connection is lost
// takes its time.
func (f *fleet) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	var wg sync.WaitGroup
	for _, d := range f.clients {
		wg.Go(func() { d.Disconnect(250) })
	}
	wg.Wait()
}
