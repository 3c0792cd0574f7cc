package stream

const childServer = "SHARPEYES_TEST_SERVER"

func serveForEver(dir string) int { return 0 }
