package provenance

import "encoding/json"

// Fold is what the network of a fold was made from. It travels with the network, in its checkpoint.
type Fold struct {
	Plans      Sources         `json:"plans"`
	Recipe     json.RawMessage `json:"recipe,omitempty"`
	Training   []Case          `json:"training"`
	Validation []Case          `json:"validation"`           // held out
	Before     []Case          `json:"pretrained,omitempty"` // cases that the weights it started from were trained on, where known
}

// Learned are the cases that have left their mark on the network.
func (f *Fold) Learned() []Case {
	return append(f.Training[:len(f.Training):len(f.Training)], f.Before...)
}

// notOfTheModel are the settings in which the folds of one model may differ.
var notOfTheModel = []string{"seed"}

// RecipeChanges says in which settings two recipes differ that the folds of one model should share.
func (f *Fold) RecipeChanges(other *Fold) []string {
	return Settings(f.Recipe).Without(notOfTheModel...).Changes(Settings(other.Recipe))
}
