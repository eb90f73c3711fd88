"""COCO's own evaluation of {truth, detections} on standard input: AP over all thresholds, at 0.5 and at 0.75, as JSON."""
import contextlib, io, json, sys

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

given = json.load(sys.stdin)
with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO()
    truth.dataset = given["truth"]
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(given["detections"]), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
json.dump(list(evaluation.stats[:3]), sys.stdout)
