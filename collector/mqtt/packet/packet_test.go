package packet

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
)

// decode reads a packet of any type.
func decode(r Raw, version byte) (any, error) {
	switch r.Type() {
	case CONNECT:
		return DecodeConnect(r.Body)
	case CONNACK:
		return DecodeConnack(r.Body, version)
	case PUBLISH:
		return DecodePublish(r, version, "")
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		return DecodeAck(r, version)
	case SUBSCRIBE:
		return DecodeSubscribe(r.Body, version)
	case SUBACK, UNSUBACK:
		return DecodeSuback(r, version)
	case UNSUBSCRIBE:
		return DecodeUnsubscribe(r.Body, version)
	case DISCONNECT:
		return DecodeDisconnect(r.Body, version)
	}
	return nil, nil
}

func encode(p any, version byte) []byte {
	switch p := p.(type) {
	case Connect:
		return p.Append(nil)
	case Connack:
		return p.Append(nil, version)
	case Publish:
		return p.Append(nil, version)
	case Ack:
		return p.Append(nil, version)
	case Subscribe:
		return p.Append(nil, version)
	case Suback:
		return p.Append(nil, version)
	case Unsubscribe:
		return p.Append(nil, version)
	case Disconnect:
		return p.Append(nil, version)
	}
	return nil
}

func read(t testing.TB, b []byte) Raw {
	t.Helper()
	r, err := Read(bufio.NewReader(bytes.NewReader(b)), 1<<20)
	if err != nil {
		t.Fatalf("% x: %v", b, err)
	}
	return r
}

// The bytes are those of the examples in the standards, or laid out by hand
// from their tables.
func TestBytes(t *testing.T) {
	f := func(version byte, want string, p any) {
		t.Helper()
		b := encode(p, version)
		if got := hex.EncodeToString(b); got != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%+v\nwritten as %s\nwant       %s", p, got, strings.ReplaceAll(want, " ", ""))
		}
		back, err := decode(read(t, b), version)
		if err != nil || !reflect.DeepEqual(back, p) {
			t.Errorf("%s\nread as %+v, %v\nwant    %+v", want, back, err, p)
		}
	}
	// 3.1.1 without and with everything.
	f(V311, "10 0e 0004 4d515454 04 02 003c 0002 6431", Connect{Version: V311, Clean: true, KeepAlive: 60, ClientID: "d1"})
	f(V31, "10 10 0006 4d5149736470 03 00 000a 0002 6431", Connect{Version: V31, KeepAlive: 10, ClientID: "d1"})
	f(V311, "10 1d 0004 4d515454 04 ee 000a 0001 61 0003 762f77 0002 6f6b 0001 75 0002 7077", Connect{
		Version: V311, Clean: true, KeepAlive: 10, ClientID: "a", Will: &Will{Topic: "v/w", Payload: []byte("ok"), QoS: 1, Retain: true},
		HasUser: true, Username: "u", HasPass: true, Password: []byte("pw")})
	f(V5, "10 1d 0004 4d515454 05 06 003c 05 11 0000000a 0000 05 18 00000005 0001 74 0000", Connect{
		Version: V5, Clean: true, KeepAlive: 60, Props: Props{{ID: SessionExpiry, Num: 10}},
		Will: &Will{Topic: "t", Payload: []byte{}, Props: Props{{ID: WillDelay, Num: 5}}}})
	f(V311, "20 02 01 00", Connack{SessionPresent: true})
	f(V5, "20 06 00 87 03 21 0100", Connack{Reason: NotAuthorized, Props: Props{{ID: ReceiveMaximum, Num: 256}}})
	f(V311, "32 07 0001 61 0102 7879", Publish{Topic: "a", QoS: 1, ID: 0x102, Payload: []byte("xy")})
	f(V311, "3d 05 0001 61 0001", Publish{Topic: "a", QoS: 2, ID: 1, Dup: true, Retain: true, Payload: []byte{}})
	f(V5, "30 0c 0001 61 07 26 0001 6b 0001 76 78", Publish{Topic: "a", Payload: []byte("x"), Props: Props{{ID: UserProperty, Name: "k", Text: "v"}}})
	f(V311, "40 02 0001", Ack{Type: PUBACK, ID: 1})
	f(V5, "40 02 0001", Ack{Type: PUBACK, ID: 1})
	f(V5, "40 08 0001 99 04 1f 0001 78", Ack{Type: PUBACK, ID: 1, Reason: PayloadInvalid, Props: Props{{ID: ReasonString, Text: "x"}}})
	f(V311, "62 02 0001", Ack{Type: PUBREL, ID: 1})
	f(V311, "82 06 000a 0001 61 01", Subscribe{ID: 10, Filters: []Filter{{Filter: "a", QoS: 1}}})
	f(V5, "82 07 000a 00 0001 61 2d", Subscribe{ID: 10, Filters: []Filter{{Filter: "a", QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}}})
	f(V311, "90 04 000a 01 80", Suback{Type: SUBACK, ID: 10, Reasons: []Reason{1, Unspecified}})
	f(V5, "90 05 000a 00 01 87", Suback{Type: SUBACK, ID: 10, Reasons: []Reason{1, NotAuthorized}})
	f(V311, "a2 05 000b 0001 61", Unsubscribe{ID: 11, Filters: []string{"a"}})
	f(V311, "b0 02 000b", Suback{Type: UNSUBACK, ID: 11})
	f(V5, "b0 04 000b 00 11", Suback{Type: UNSUBACK, ID: 11, Reasons: []Reason{NoSubscription}})
	f(V311, "e0 00", Disconnect{})
	f(V5, "e0 02 8e 00", Disconnect{Reason: SessionTakenOver})
}

func TestOldClientsGetOldCodes(t *testing.T) {
	f := func(p any, want string) {
		t.Helper()
		if got := fmt.Sprintf("% x", encode(p, V311)); got != want {
			t.Errorf("%+v: %s, want %s", p, got, want)
		}
	}
	f(Connack{Reason: UnsupportedVersion}, "20 02 00 01")
	f(Connack{Reason: ClientIDNotValid}, "20 02 00 02")
	f(Connack{Reason: ServerBusy}, "20 02 00 03")
	f(Connack{Reason: BadCredentials}, "20 02 00 04")
	f(Connack{Reason: NotAuthorized}, "20 02 00 05")
	f(Ack{Type: PUBACK, ID: 1, Reason: PayloadInvalid}, "40 02 00 01")
	f(Suback{Type: SUBACK, ID: 1, Reasons: []Reason{NotAuthorized, 1}}, "90 04 00 01 80 01")
	f(Suback{Type: UNSUBACK, ID: 1, Reasons: []Reason{NoSubscription}}, "b0 02 00 01")
}

func TestMalformed(t *testing.T) {
	f := func(version byte, hexed string, want Reason, text string) {
		t.Helper()
		b, err := hex.DecodeString(strings.ReplaceAll(hexed, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		r, err := Read(bufio.NewReader(bytes.NewReader(b)), 1000)
		if err == nil {
			_, err = decode(r, version)
		}
		var e *Error
		if !errors.As(err, &e) || e.Reason != want || !strings.Contains(e.Text, text) {
			t.Errorf("%s: %v, want %x %s", hexed, err, want, text)
		}
	}
	f(V311, "00 00", Malformed, "packet type 0")
	f(V311, "11 00", Malformed, "packet type 1 with flags 0001")
	f(V311, "80 00", Malformed, "packet type 8 with flags 0000, want 0010")
	f(V311, "30 ff ff ff ff 01", Malformed, "more than four bytes")
	f(V311, "30 e9 07", TooLarge, "packet of 1001 bytes, at most 1000")
	f(V311, "10 04 0004 4d51", Malformed, "ends within protocol name")
	f(V311, "10 07 0004 4d515558 04", ProtocolError, "protocol \"MQUX\"")
	f(V311, "10 07 0004 4d515454 06", UnsupportedVersion, "level 6")
	f(V311, "10 07 0004 4d515454 03", UnsupportedVersion, "MQTT level 3")
	f(V311, "10 0d 0004 4d515454 04 03 003c 0001 61", Malformed, "reserved connect flag")
	f(V311, "10 0d 0004 4d515454 04 0a 003c 0001 61", Malformed, "will flags without a will")
	f(V311, "10 0d 0004 4d515454 04 1e 003c 0001 61", Malformed, "will with QoS 3")
	f(V311, "10 10 0004 4d515454 04 42 003c 0001 61 0001 70", ProtocolError, "password without a user name")
	f(V311, "10 0d 0004 4d515454 04 82 003c 0001 61", Malformed, "ends within user name")
	f(V311, "10 0e 0004 4d515454 04 02 003c 0001 61 ff", Malformed, "1 bytes too many")
	f(V311, "10 0d 0004 4d515454 04 02 003c 0001 ff", Malformed, "client identifier is not UTF-8")
	f(V311, "10 0d 0004 4d515454 04 02 003c 0001 00", Malformed, "client identifier is not UTF-8")
	f(V311, "36 05 0001 61 0001", Malformed, "QoS 3")
	f(V311, "38 03 0001 61", Malformed, "QoS 0 marked as sent before")
	f(V311, "32 05 0001 61 0000", ProtocolError, "packet identifier 0")
	f(V311, "32 04 0001 61 00", Malformed, "ends within packet identifier")
	f(V311, "30 03 0001 2b", TopicInvalid, "wildcard")
	f(V311, "40 01 00", Malformed, "ends within packet identifier")
	f(V311, "40 03 0001 00", Malformed, "1 bytes too many")
	f(V311, "82 02 0001", ProtocolError, "no topic filter")
	f(V311, "82 06 0000 0001 61 00", ProtocolError, "packet identifier 0")
	f(V311, "82 06 0001 0001 61 03", Malformed, "subscription options")
	f(V311, "82 06 0001 0001 61 04", Malformed, "subscription options")
	f(V311, "a2 02 0001", ProtocolError, "no topic filter")
	// A SUBSCRIBE that ends before the options of its last filter.
	f(V5, "82 08 0009 00 0003 636d64", Malformed, "ends within subscription options")
	f(V5, "30 05 0001 61 7f 01", Malformed, "ends within properties")
	f(V5, "30 06 0001 61 02 01 02", ProtocolError, "want 0 or 1")
	f(V5, "30 08 0001 61 04 01 00 01 00", ProtocolError, "given twice")
	f(V5, "30 09 0001 61 05 11 00000001", Malformed, "does not belong")
	f(V5, "30 06 0001 61 02 7f 00", Malformed, "does not belong")
	f(V5, "10 11 0004 4d515454 05 02 003c 03 21 0000 0001 61", ProtocolError, "property 0x21 is 0")
}

func TestPropertiesAreBounded(t *testing.T) {
	p := Publish{Topic: "a", Payload: []byte{}}
	for range maxProps + 1 {
		p.Props = append(p.Props, Prop{ID: UserProperty, Name: "k"})
	}
	_, err := DecodePublish(read(t, p.Append(nil, V5)), V5, "")
	var e *Error
	if !errors.As(err, &e) || e.Reason != QuotaExceeded {
		t.Errorf("%v", err)
	}
	s := Subscribe{ID: 1}
	for range maxFilters + 1 {
		s.Filters = append(s.Filters, Filter{Filter: "a"})
	}
	if _, err := DecodeSubscribe(read(t, s.Append(nil, V5)).Body, V5); !errors.As(err, &e) || e.Reason != QuotaExceeded {
		t.Errorf("%v", err)
	}
}

func TestForwarded(t *testing.T) {
	got := Props{{ID: MessageExpiry, Num: 5}, {ID: ContentType, Text: "x"}, {ID: TopicAlias, Num: 1}, {ID: UserProperty, Name: "k"}}.Forwarded()
	if !reflect.DeepEqual(got, Props{{ID: ContentType, Text: "x"}, {ID: UserProperty, Name: "k"}}) {
		t.Errorf("%+v", got)
	}
}

func TestReadEnds(t *testing.T) {
	f := func(b string, want error) {
		t.Helper()
		if _, err := Read(bufio.NewReader(strings.NewReader(b)), 100); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", b, err, want)
		}
	}
	f("", io.EOF)
	f("\x30", io.ErrUnexpectedEOF)
	f("\x30\x80", io.ErrUnexpectedEOF)
	f("\x30\x05abc", io.ErrUnexpectedEOF)
}

// Whatever the bytes, decoding does not panic, and what decodes is written and
// read back as the same packet.
func FuzzPacket(f *testing.F) {
	for _, v := range []byte{V311, V5} {
		for _, p := range []any{
			Connect{Version: v, Clean: true, ClientID: "d", Will: &Will{Topic: "t", Payload: []byte("x")}, HasUser: true, Username: "u", HasPass: true, Password: []byte("p")},
			Connack{SessionPresent: true}, Publish{Topic: "v1/d/obs", QoS: 1, ID: 7, Payload: []byte("{}")}, Ack{Type: PUBACK, ID: 1},
			Subscribe{ID: 1, Filters: []Filter{{Filter: "a/#", QoS: 1}}}, Suback{Type: SUBACK, ID: 1, Reasons: []Reason{0}},
			Unsubscribe{ID: 1, Filters: []string{"a"}}, Disconnect{},
		} {
			f.Add(encode(p, v), v)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, version byte) {
		version = V311 + version%2
		r, err := Read(bufio.NewReader(bytes.NewReader(b)), 1<<16)
		if err != nil {
			return
		}
		p, err := decode(r, version)
		if p == nil || err != nil {
			return
		}
		if c, ok := p.(Connect); ok {
			version = c.Version
		}
		again := encode(p, version)
		r2, err := Read(bufio.NewReader(bytes.NewReader(again)), 1<<17)
		if err != nil {
			t.Fatalf("%+v written as % x: %v", p, again, err)
		}
		p2, err := decode(r2, version)
		if err != nil {
			t.Fatalf("%+v written as % x: %v", p, again, err)
		}
		if !same(p, p2, version) {
			t.Fatalf("% x\nread %+v\nthen %+v", b, p, p2)
		}
	})
}

// same compares but for what an older version cannot carry.
func same(a, b any, version byte) bool {
	if version < V5 {
		switch p := a.(type) {
		case Connack:
			return b.(Connack).SessionPresent == p.SessionPresent // its return code is MQTT 3's
		case Suback:
			q := b.(Suback)
			return p.ID == q.ID && len(p.Reasons) == len(q.Reasons)
		}
	}
	return reflect.DeepEqual(a, b)
}
