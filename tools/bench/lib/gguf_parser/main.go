// What gguf-parser-go says that a file takes: ./dev bench plan holds it beside trimma.
//
//	gguf_parser FILE CONTEXT UBATCH FLASH_ATTENTION(true|false) LAYERS_ON_CARD
//
// Prints the bytes of weights, KV cache and computation of each device, the host first, without
// the footprint that its own program adds for the platform.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	parser "github.com/gpustack/gguf-parser-go"
)

type device struct {
	Weights uint64 `json:"weights_bytes"`
	KV      uint64 `json:"kv_bytes"`
	Compute uint64 `json:"compute_bytes"`
}

func run(words []string) error {
	if len(words) != 5 {
		return fmt.Errorf("five words, please, not %d", len(words))
	}
	context, err := strconv.ParseInt(words[1], 10, 32)
	if err != nil {
		return err
	}
	ubatch, err := strconv.ParseInt(words[2], 10, 32)
	if err != nil {
		return err
	}
	flash, err := strconv.ParseBool(words[3])
	if err != nil {
		return err
	}
	layers, err := strconv.ParseUint(words[4], 10, 64)
	if err != nil {
		return err
	}
	file, err := parser.ParseGGUFFile(words[0])
	if err != nil {
		return err
	}
	options := []parser.GGUFRunEstimateOption{
		parser.WithLLaMACppContextSize(int32(context)),
		parser.WithLLaMACppPhysicalBatchSize(int32(ubatch)),
		parser.WithLLaMACppOffloadLayers(layers),
	}
	if flash {
		options = append(options, parser.WithFlashAttention())
	}
	devices := []device{}
	for _, each := range file.EstimateLLaMACppRun(options...).Devices {
		devices = append(devices, device{
			uint64(each.Weight.Sum()), uint64(each.KVCache.Sum()), uint64(each.Computation.Sum())})
	}
	return json.NewEncoder(os.Stdout).Encode(devices)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
