"""Authors' tools: making, checking, drawing, testing and parcelling worlds. Knows no training."""
