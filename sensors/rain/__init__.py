"""What rain gauges mean: sums over windows and rain days, the classes of the weather service, the wetness before."""
