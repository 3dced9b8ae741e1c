"""How good a judge is: agreement with people, calibration, noise floor, biases, and rewards on pairs of pictures.

`run_audit` (module `runner`) audits a judge that answers, `recorded.run_recorded` one whose answers are on file. Both
return an `Audit`: rows of one table, details for JSON and the figure, and the reason for every part that was left out.
Truth is what the micro world drew, or what people said; never another judge.
"""
