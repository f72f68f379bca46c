"""NumPy twins: what each kernel computes, written as plainly as possible; the definition."""
