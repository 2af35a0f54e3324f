package export

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/torch"
	"github.com/universal-classifier/uc/internal/weights"
)

var safetensorsFormat = Format{
	Name:       "safetensors",
	Short:      "the weights as safetensors, with the plans as metadata",
	Extensions: []string{".safetensors"},
	write: func(_ context.Context, path string, m *model.Model, _ progress.Reporter) error {
		plans, err := json.Marshal(m.Plans)
		if err != nil {
			return err
		}
		return weights.WriteSafetensors(path, stateDict(m), map[string]string{
			"format": "pt", "uc.plans": string(plans), "uc.folds": strings.Join(m.Names(), " "),
		})
	},
}

var pytorchFormat = Format{
	Name:       "pytorch",
	Short:      "the weights as a state_dict of torch.save, which the reference's I3D loads with strict=True",
	Extensions: []string{".pth", ".pt", ".model"},
	write: func(_ context.Context, path string, m *model.Model, _ progress.Reporter) error {
		return torch.Write(path, torch.StateDict(stateDict(m)))
	},
}
