package main

import (
	"encoding/json"
	"reflect"
)

func jsonOf(value any) string {
	out, err := json.Marshal(value)
	must(err)
	return string(out)
}

// with is the object with another value of a member, given as JSON.
func with(object, member, value string) string {
	var members map[string]json.RawMessage
	must(json.Unmarshal([]byte(object), &members))
	members[member] = json.RawMessage(value)
	return jsonOf(members)
}

func without(object, member string) string {
	var members map[string]json.RawMessage
	must(json.Unmarshal([]byte(object), &members))
	delete(members, member)
	return jsonOf(members)
}

// damage changes the fifth character of a member.
func damage(object, member string) string {
	var members map[string]string
	must(json.Unmarshal([]byte(object), &members))
	value := []byte(members[member])
	at := min(4, len(value)-1)
	value[at] ^= 1
	members[member] = string(value)
	return jsonOf(members)
}

// padded has the alphabet and the padding of plain base64.
func padded(object string) string {
	var members map[string]string
	must(json.Unmarshal([]byte(object), &members))
	for name, value := range members {
		if name == "kty" || name == "crv" {
			continue
		}
		out := []byte(value)
		for at := range out {
			switch out[at] {
			case '-':
				out[at] = '+'
			case '_':
				out[at] = '/'
			}
		}
		for len(out)%4 != 0 {
			out = append(out, '=')
		}
		members[name] = string(out)
	}
	return jsonOf(members)
}

// call is for functions whose result has no name outside of its package: certificate and key, one after the other.
func call(function any, args ...string) (string, error) {
	in := make([]reflect.Value, len(args))
	for at, arg := range args {
		in[at] = reflect.ValueOf(arg)
	}
	out := reflect.ValueOf(function).Call(in)
	if err, ok := out[1].Interface().(error); ok {
		return "", err
	}
	return out[0].FieldByName("Cert").String() + out[0].FieldByName("Key").String(), nil
}
