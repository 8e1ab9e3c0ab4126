package mqtt

import (
	"strings"
	"unicode/utf8"

	"quantrac"
)

// The topics. A device publishes below its own name and reads its commands;
// warnings are for everybody who may connect.
const (
	topicRoot     = "v1/"
	topicWarnings = "v1/warnings/"
	leafStatus    = "/status"
	leafCommand   = "/cmd"
)

// maxTopicBytes and maxLevels bound topics and filters; ours have up to four levels.
const (
	maxTopicBytes = 512
	maxLevels     = 16
)

// StatusTopic is where a device keeps its status, retained and as last will.
func StatusTopic(device string) string { return topicRoot + device + leafStatus }

// CommandTopic is where a device reads its commands.
func CommandTopic(device string) string { return topicRoot + device + leafCommand }

// WarningTopic is where a warning is published: an episode of its own in its
// area.
func WarningTopic(area, episode string) string { return topicWarnings + area + "/" + episode }

// checkWarning says why a warning cannot have a topic.
func checkWarning(area, episode string) error {
	for _, level := range []string{area, episode} {
		if !validLevel(level) {
			return quantrac.Errorf(quantrac.Invalid, "warning %q of area %q: %q cannot be a level of a topic", episode, area, level)
		}
	}
	return nil
}

// validName says whether a device's name can be one level of a topic. "warnings"
// cannot, it would publish warnings.
func validName(name string) bool { return name != "warnings" && validLevel(name) }

// validLevel says whether a text can be one level of a topic.
func validLevel(text string) bool {
	return text != "" && len(text) <= 128 && utf8.ValidString(text) && !strings.ContainsAny(text, "/+#\x00") && text[0] != '$'
}

// validFilter says whether a topic filter is well formed.
func validFilter(filter string) bool {
	if filter == "" || len(filter) > maxTopicBytes || strings.Count(filter, "/") >= maxLevels {
		return false
	}
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if level == "#" && more || len(level) > 1 && strings.ContainsAny(level, "+#") {
			return false
		}
	}
	return true
}

// covers says whether every topic that filter matches is matched by allowed
// too. A topic is a filter that matches itself, so covers also says whether a
// filter matches a topic. A trailing /# matches the level above it as well; a
// wildcard at the beginning never matches a topic that begins with $.
func covers(allowed, filter string) bool {
	if allowed != "" && (allowed[0] == '+' || allowed[0] == '#') && strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		a, aRest, aMore := strings.Cut(allowed, "/")
		if a == "#" {
			return true
		}
		f, fRest, fMore := strings.Cut(filter, "/")
		if f == "#" || a != "+" && a != f {
			return false
		}
		if !fMore {
			return !aMore || aRest == "#"
		}
		if !aMore {
			return false
		}
		allowed, filter = aRest, fRest
	}
}

// access is what a client may do.
type access struct {
	device string // "" for a subscriber who is no device
	all    bool   // staff of the whole network: reads everything
}

// mayRead says whether a subscription to filter, or a message on a topic, is
// within the client's rights.
func (a access) mayRead(filter string) bool {
	switch {
	case covers(topicWarnings+"#", filter) && filter != strings.TrimSuffix(topicWarnings, "/"):
		return true
	case a.device != "" && filter == CommandTopic(a.device):
		return true
	}
	return a.all && covers(topicRoot+"#", filter)
}
