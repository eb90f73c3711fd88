/** One protobuf field: a string or message by its bytes, or a small number. */
function field(number: number, value: Uint8Array | string | number): Buffer {
  if (typeof value === 'number') return Buffer.from([number << 3, value])
  const content = Buffer.from(value as Uint8Array)
  if (content.length > 127)
    return Buffer.concat([
      Buffer.from([(number << 3) | 2, (content.length & 127) | 128, content.length >> 7]),
      content,
    ])
  return Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content])
}

function valueInfo(name: Uint8Array | string, shape: readonly (number | string)[]): Buffer {
  const dimensions = shape.map((d) => field(1, typeof d === 'number' ? field(1, d) : field(2, d)))
  const tensor = Buffer.concat([field(1, 1), field(2, Buffer.concat(dimensions))])
  return Buffer.concat([field(1, name), field(2, field(1, tensor))])
}

/** A one-node ONNX model, y = Relu(x) in float32; a string is an open dimension. */
export function reluModel(shape: readonly (number | string)[], input: Uint8Array | string = 'x'): Buffer {
  const node = Buffer.concat([field(1, input), field(2, 'y'), field(4, 'Relu')])
  const graph = Buffer.concat([
    field(1, node),
    field(2, 'g'),
    field(11, valueInfo(input, shape)),
    field(12, valueInfo('y', shape)),
  ])
  return Buffer.concat([field(1, 8), field(7, graph), field(8, field(2, 13))])
}
