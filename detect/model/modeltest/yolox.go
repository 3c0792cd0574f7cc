package modeltest

// YOLOX is a small model with the head of YOLOX for the given classes: the first
// four values of a row as they come, the others after a sigmoid.
func YOLOX(classes int64) []byte {
	row := 5 + classes
	weights := make([]float32, row*3)
	for i := range weights {
		weights[i] = (float32(i%7)/10 - 0.3) / 100
	}
	pool := func(out, in string, k int64) []byte {
		return Node("MaxPool", out, []string{in}, Ints("kernel_shape", k, k), Ints("strides", k, k), Ints("pads", 0, 0, 0, 0))
	}
	return File(13,
		Value(11, "images", 1, 3, Size, Size),
		Value(12, "output", 1, cells, row),
		Floats("w", []int64{row, 3, 1, 1}, weights...),
		Longs("flat", 1, row, -1), Longs("zero", 0), Longs("four", 4), Longs("row", row), Longs("axis", 2),
		pool("pooled", "images", 8),
		Node("Conv", "h8", []string{"pooled", "w"}, Ints("kernel_shape", 1, 1), Ints("strides", 1, 1),
			Ints("dilations", 1, 1), Ints("pads", 0, 0, 0, 0), OneInt("group", 1)),
		pool("h16", "h8", 2),
		pool("h32", "h16", 2),
		Node("Reshape", "r8", []string{"h8", "flat"}),
		Node("Reshape", "r16", []string{"h16", "flat"}),
		Node("Reshape", "r32", []string{"h32", "flat"}),
		Node("Concat", "all", []string{"r8", "r16", "r32"}, OneInt("axis", 2)),
		Node("Transpose", "rows", []string{"all"}, Ints("perm", 0, 2, 1)),
		Node("Slice", "box", []string{"rows", "zero", "four", "axis"}),
		Node("Slice", "cls", []string{"rows", "four", "row", "axis"}),
		Node("Sigmoid", "scores", []string{"cls"}),
		Node("Concat", "output", []string{"box", "scores"}, OneInt("axis", 2)),
	)
}
