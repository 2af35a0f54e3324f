// Package driver opens NVIDIA's libraries at run time and calls them: the CUDA driver, NVRTC and cuDNN.
package driver
