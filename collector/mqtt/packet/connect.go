package packet

import "encoding/binary"

// Connect is a CONNECT packet: the first that a client sends.
type Connect struct {
	Version   byte // V31, V311 or V5
	Clean     bool // clean session, clean start
	KeepAlive uint16
	ClientID  string
	Will      *Will
	HasUser   bool
	Username  string
	HasPass   bool
	Password  []byte
	Props     Props
}

// Will is what the broker publishes for a client that is lost.
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	Props   Props
}

const (
	flagClean      = 1 << 1
	flagWill       = 1 << 2
	flagWillRetain = 1 << 5
	flagPassword   = 1 << 6
	flagUsername   = 1 << 7
)

// DecodeConnect reads a CONNECT packet. A protocol level that is none of ours
// is an error with reason UnsupportedVersion; the Connect then holds the level.
func DecodeConnect(body []byte) (Connect, error) {
	c := cursor{b: body}
	name := c.text("protocol name")
	p := Connect{Version: c.byte("protocol level")}
	if c.err != nil {
		return p, c.err
	}
	if name != "MQTT" && name != "MQIsdp" {
		return p, errorf(ProtocolError, "protocol %.20q, want MQTT", name)
	}
	if (name == "MQIsdp") != (p.Version == V31) || p.Version < V31 || p.Version > V5 {
		return p, errorf(UnsupportedVersion, "protocol %s level %d; 3.1, 3.1.1 and 5 are spoken", name, p.Version)
	}
	flags := c.byte("connect flags")
	if flags&1 != 0 && p.Version != V31 {
		return p, errorf(Malformed, "reserved connect flag is set")
	}
	p.Clean = flags&flagClean != 0
	p.KeepAlive = c.uint16("keep alive")
	if p.Version == V5 {
		p.Props = c.props(CONNECT)
	}
	p.ClientID = c.text("client identifier")
	if err := p.decodeWill(&c, flags); err != nil {
		return p, err
	}
	if p.HasUser = flags&flagUsername != 0; p.HasUser {
		p.Username = c.text("user name")
	}
	if p.HasPass = flags&flagPassword != 0; p.HasPass {
		if !p.HasUser && p.Version != V5 {
			return p, errorf(ProtocolError, "password without a user name")
		}
		p.Password = c.binary("password")
	}
	return p, c.end()
}

func (p *Connect) decodeWill(c *cursor, flags byte) error {
	qos, retain := flags>>3&3, flags&flagWillRetain != 0
	if flags&flagWill == 0 {
		if qos != 0 || retain {
			return errorf(Malformed, "will flags without a will")
		}
		return c.err
	}
	if qos == 3 {
		return errorf(Malformed, "will with QoS 3")
	}
	w := &Will{QoS: qos, Retain: retain}
	if p.Version == V5 {
		w.Props = c.props(will)
	}
	w.Topic = c.text("will topic")
	w.Payload = c.binary("will payload")
	p.Will = w
	return c.err
}

// Append writes the packet.
func (p *Connect) Append(dst []byte) []byte {
	name := "MQTT"
	if p.Version == V31 {
		name = "MQIsdp"
	}
	b := append(appendText(nil, name), p.Version)
	flags := byte(0)
	set := func(on bool, f byte) {
		if on {
			flags |= f
		}
	}
	set(p.Clean, flagClean)
	set(p.HasUser, flagUsername)
	set(p.HasPass, flagPassword)
	if p.Will != nil {
		set(true, flagWill|p.Will.QoS<<3)
		set(p.Will.Retain, flagWillRetain)
	}
	b = binary.BigEndian.AppendUint16(append(b, flags), p.KeepAlive)
	if p.Version == V5 {
		b = p.Props.append(b)
	}
	b = appendText(b, p.ClientID)
	if w := p.Will; w != nil {
		if p.Version == V5 {
			b = w.Props.append(b)
		}
		b = appendBinary(appendText(b, w.Topic), w.Payload)
	}
	if p.HasUser {
		b = appendText(b, p.Username)
	}
	if p.HasPass {
		b = appendBinary(b, p.Password)
	}
	return frame(dst, byte(CONNECT)<<4, b)
}

// Connack answers a CONNECT. Reason is that of MQTT 5; Append translates it for
// older clients.
type Connack struct {
	SessionPresent bool
	Reason         Reason
	Props          Props
}

// oldReason is the CONNACK return code of MQTT 3 for a reason.
func oldReason(r Reason) byte {
	switch r {
	case Success:
		return 0
	case UnsupportedVersion:
		return 1
	case ClientIDNotValid:
		return 2
	case BadCredentials:
		return 4
	case NotAuthorized:
		return 5
	}
	return 3 // server unavailable
}

// Append writes the packet for a client of the given version.
func (p *Connack) Append(dst []byte, version byte) []byte {
	present := byte(0)
	if p.SessionPresent {
		present = 1
	}
	if version < V5 {
		return append(dst, byte(CONNACK)<<4, 2, present, oldReason(p.Reason))
	}
	return frame(dst, byte(CONNACK)<<4, p.Props.append([]byte{present, byte(p.Reason)}))
}

// DecodeConnack reads a CONNACK packet. Of MQTT 3 the reason is its return code.
func DecodeConnack(body []byte, version byte) (Connack, error) {
	c := cursor{b: body}
	flags := c.byte("connack flags")
	p := Connack{SessionPresent: flags == 1, Reason: Reason(c.byte("return code"))}
	if flags > 1 {
		return p, errorf(Malformed, "connack flags %08b", flags)
	}
	if version == V5 {
		p.Props = c.props(CONNACK)
	}
	return p, c.end()
}

// Disconnect ends a connection in good order.
type Disconnect struct {
	Reason Reason
	Props  Props
}

// DecodeDisconnect reads a DISCONNECT packet.
func DecodeDisconnect(body []byte, version byte) (Disconnect, error) {
	c := cursor{b: body}
	var p Disconnect
	if version == V5 && len(c.b) > 0 {
		p.Reason = Reason(c.byte("reason"))
		if len(c.b) > 0 {
			p.Props = c.props(DISCONNECT)
		}
	}
	return p, c.end()
}

// Append writes the packet. A broker sends it to clients of MQTT 5 only.
func (p *Disconnect) Append(dst []byte, version byte) []byte {
	if version < V5 || p.Reason == Success && len(p.Props) == 0 {
		return append(dst, byte(DISCONNECT)<<4, 0)
	}
	return frame(dst, byte(DISCONNECT)<<4, p.Props.append([]byte{byte(p.Reason)}))
}

// AppendPing writes a PINGREQ or PINGRESP.
func AppendPing(dst []byte, t Type) []byte { return append(dst, byte(t)<<4, 0) }
