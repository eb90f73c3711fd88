"""What is done with an opened network, whatever its runtime."""

import json
import random
import time

import numpy as np

# a block is long against the clock and short against the turns that other processes take
block_seconds = 0.005
rounds = 120


def main(open_model, arguments):
    command, samples, *models = arguments
    data = np.load(samples, mmap_mode="r")
    if command == "outputs":
        for pair in models:
            model, out = pair.split("=")
            opened = open_model(model)
            np.save(out, np.concatenate([opened.run(np.array(data[i : i + 1])) for i in range(len(data))]).astype("<f4"))
        print(json.dumps({}))
    else:
        print(json.dumps(latency(open_model, np.array(data[:1]), models)))


def latency(open_model, sample, models):
    """Seconds of one inference, by round and model: in each round every model has a block, in turns there and back."""
    calls = [open_model(model).bound(sample) for model in models]
    counts = [max(1, round(block_seconds / block(call, 5))) for call in calls]
    order = list(range(len(models)))
    generator = random.Random(0)
    times = []
    for _ in range(rounds):
        # no model always follows the same one, or falls into step with the scheduler
        generator.shuffle(order)
        seconds = [0.0] * len(models)
        for index in order + order[::-1]:
            seconds[index] += block(calls[index], counts[index]) / 2
        times.append(seconds)
    return times


def block(call, count):
    """CPU time: that of the one thread, whatever else wants the machine."""
    start = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start) / count
