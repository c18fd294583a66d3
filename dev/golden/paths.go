package main

func paths(map[string]string) ([]any, error)   { return nil, nil }
func shaping(map[string]string) ([]any, error) { return nil, nil }
