"""What ladders listen to beside the value and the slope of a series: one small file for each kind."""
