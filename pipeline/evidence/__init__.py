"""What a candidate's figures prove: metrics on columns, their intervals, and verdicts in sentences. Plain numpy.

areas → measures                  metrics, as functions of the rows' weights (statistic, class_measures)
bootstrap, linear                 how far they would move on other rows, of few rows and of many
intervals                         from a spread or a count to an interval
cuts → tables                     slices of the rows, and each metric of each slice
fairness                          rates by group, and the gaps between groups
verdicts                          the gates of a task on all of these
report                            everything together, as `evidence.json` has it
"""
