"""What rules compare and say: truths, intervals, text. Nothing knows of a chart."""
