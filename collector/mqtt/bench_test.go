package mqtt

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"quantrac"
	"quantrac/collector"
	"quantrac/collector/mqtt/packet"
)

// slowStore makes batches durable as a journal with group commit does on a disk
// whose sync takes so long: who comes while a sync runs waits for the next one.
type slowStore struct {
	sync time.Duration

	mu      sync.Mutex
	running bool
	waiting []chan struct{}
	syncs   int
	rows    int
}

func (s *slowStore) Append(_ context.Context, b *quantrac.Batch) (quantrac.Receipt, error) {
	done := make(chan struct{})
	s.mu.Lock()
	s.rows += len(b.Rows)
	s.waiting = append(s.waiting, done)
	lead := !s.running
	s.running = true
	s.mu.Unlock()
	for lead {
		s.mu.Lock()
		group := s.waiting
		s.waiting = nil
		if len(group) == 0 {
			s.running = false
			s.mu.Unlock()
			break
		}
		s.syncs++
		s.mu.Unlock()
		time.Sleep(s.sync)
		for _, w := range group {
			close(w)
		}
	}
	<-done
	return quantrac.Receipt{}, nil
}

type noLetters struct{}

func (noLetters) Put(context.Context, ...collector.DeadLetter) error {
	return fmt.Errorf("no letter was expected")
}

type everyDevice struct{}

func (everyDevice) StationBinding(string) (*quantrac.Binding, bool) { return nil, false }

func (everyDevice) Binding(device string) (*quantrac.Binding, bool) {
	n := math.NaN()
	return &quantrac.Binding{Device: device, Station: device, Group: quantrac.NewLabels("station", device), Properties: map[string]quantrac.Property{
		"water_level_meters": {Name: "water_level_meters", Interval: 10 * time.Minute, Min: -2, Max: 10, SuspectMin: n, SuspectMax: n, SpikeLimit: 1, RateLimit: 0.01, FlatFor: 6 * time.Hour},
	}}, true
}

type openDoor struct{}

func (openDoor) AuthenticateDevice(string, string) bool { return true }

// BenchmarkToDurable measures messages of QoS 1 from the socket of a device to
// its acknowledgement, through broker, decoder, quality control and a store
// whose sync takes 2 ms. One operation is one message.
func BenchmarkToDurable(b *testing.B) {
	for _, devices := range []int{1, 10, 200} {
		b.Run(fmt.Sprintf("devices=%d", devices), func(b *testing.B) {
			store := &slowStore{sync: 2 * time.Millisecond}
			col := collector.New(store, everyDevice{}, noLetters{}, quantrac.SystemClock{}, collector.Options{})
			defer col.Close()
			ls, err := Listen("127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			broker := New(col, openDoor{}, Options{MessagesPerSec: -1})
			go func() { _ = broker.Run(context.Background(), ls...) }()
			defer broker.Close()
			each := max(b.N/devices, 1)
			clients := make([]net.Conn, devices)
			for i := range clients {
				clients[i] = connectDevice(b, ls[0].Addr().String(), fmt.Sprint("d", i))
			}
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for i, nc := range clients {
				wg.Go(func() { publishAll(b, nc, fmt.Sprint("d", i), each) })
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(each*devices)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64(store.rows)/float64(max(store.syncs, 1)), "rows/sync")
			for _, nc := range clients {
				nc.Close()
			}
		})
	}
}

func connectDevice(b *testing.B, addr, name string) net.Conn {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	c := packet.Connect{Version: packet.V311, Clean: true, ClientID: name, KeepAlive: 60}
	if _, err := nc.Write(c.Append(nil)); err != nil {
		b.Fatal(err)
	}
	if _, err := nc.Read(make([]byte, 4)); err != nil {
		b.Fatal(err)
	}
	return nc
}

// publishAll sends n messages as fast as the connection takes them and reads
// their acknowledgements.
func publishAll(b *testing.B, nc net.Conn, name string, n int) {
	go func() {
		w := bufio.NewWriterSize(nc, 32<<10)
		at := time.Now().Add(-time.Duration(n) * time.Second)
		var buf []byte
		for i := range n {
			p := packet.Publish{Topic: "v1/" + name + "/obs", QoS: 1, ID: uint16(i%60000 + 1)}
			p.Payload = fmt.Appendf(nil, `{"time":%d,"values":{"water_level_meters":%.3f}}`, at.Add(time.Duration(i)*time.Second).UnixMilli(), 2+math.Sin(float64(i)/600))
			buf = p.Append(buf[:0], packet.V311)
			if _, err := w.Write(buf); err != nil {
				b.Error(err)
				return
			}
		}
		if err := w.Flush(); err != nil {
			b.Error(err)
		}
	}()
	r := bufio.NewReaderSize(nc, 32<<10)
	for i := range n {
		raw, err := packet.Read(r, 100)
		if err != nil {
			b.Errorf("after %d of %d acknowledgements: %v", i, n, err)
			return
		}
		if a, err := packet.DecodeAck(raw, packet.V311); err != nil || a.ID != uint16(i%60000+1) {
			b.Errorf("acknowledgement %d is %+v, %v", i, a, err)
			return
		}
	}
}
