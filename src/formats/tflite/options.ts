import { bool, float32, float32s, int32, int32s, int64, int8, string, type TableSpec } from './flat-table.ts'

/** Options of built-in operators by name, fields by their slots. Those that are not here have no fields. */
const fused = (slot: number) => ({ activation: int8(slot) })

export const optionTables = {
  Conv2DOptions: {
    padding: int8(0),
    strideW: int32(1),
    strideH: int32(2),
    ...fused(3),
    dilationW: int32(4, 1),
    dilationH: int32(5, 1),
    quantizedBiasType: int8(6),
  },
  DepthwiseConv2DOptions: {
    padding: int8(0),
    strideW: int32(1),
    strideH: int32(2),
    depthMultiplier: int32(3),
    ...fused(4),
    dilationW: int32(5, 1),
    dilationH: int32(6, 1),
  },
  ConcatEmbeddingsOptions: { channels: int32(0), columns: int32s(1), dimensions: int32s(2) },
  LSHProjectionOptions: { type: int8(0) },
  Pool2DOptions: {
    padding: int8(0),
    strideW: int32(1),
    strideH: int32(2),
    filterWidth: int32(3),
    filterHeight: int32(4),
    ...fused(5),
  },
  SVDFOptions: { rank: int32(0), ...fused(1), asymmetricQuantizeInputs: bool(2) },
  RNNOptions: { ...fused(0), asymmetricQuantizeInputs: bool(1) },
  FullyConnectedOptions: {
    ...fused(0),
    weightsFormat: int8(1),
    keepNumDims: bool(2),
    asymmetricQuantizeInputs: bool(3),
    quantizedBiasType: int8(4),
  },
  SoftmaxOptions: { beta: float32(0) },
  ConcatenationOptions: { axis: int32(0), ...fused(1) },
  AddOptions: { ...fused(0), potScaleInt16: bool(1, true) },
  L2NormOptions: fused(0),
  LocalResponseNormalizationOptions: {
    radius: int32(0),
    bias: float32(1),
    alpha: float32(2),
    beta: float32(3),
  },
  LSTMOptions: {
    ...fused(0),
    cellClip: float32(1),
    projClip: float32(2),
    kernelType: int8(3),
    asymmetricQuantizeInputs: bool(4),
  },
  ResizeBilinearOptions: { alignCorners: bool(2), halfPixelCenters: bool(3) },
  CallOptions: { subgraph: int32(0) },
  ReshapeOptions: { newShape: int32s(0) },
  SkipGramOptions: { ngramSize: int32(0), maxSkipSize: int32(1), includeAllNgrams: bool(2) },
  SpaceToDepthOptions: { blockSize: int32(0) },
  EmbeddingLookupSparseOptions: { combiner: int8(0) },
  MulOptions: fused(0),
  GatherOptions: { axis: int32(0), batchDims: int32(1) },
  ReducerOptions: { keepDims: bool(0) },
  SubOptions: { ...fused(0), potScaleInt16: bool(1, true) },
  DivOptions: fused(0),
  SqueezeOptions: { squeezeDims: int32s(0) },
  SequenceRNNOptions: { timeMajor: bool(0), ...fused(1), asymmetricQuantizeInputs: bool(2) },
  StridedSliceOptions: {
    beginMask: int32(0),
    endMask: int32(1),
    ellipsisMask: int32(2),
    newAxisMask: int32(3),
    shrinkAxisMask: int32(4),
    offset: bool(5),
  },
  SplitOptions: { numSplits: int32(0) },
  CastOptions: { inDataType: int8(0), outDataType: int8(1) },
  ArgMaxOptions: { outputType: int8(0) },
  TransposeConvOptions: {
    padding: int8(0),
    strideW: int32(1),
    strideH: int32(2),
    ...fused(3),
    quantizedBiasType: int8(4),
  },
  SparseToDenseOptions: { validateIndices: bool(0) },
  ShapeOptions: { outType: int8(0) },
  ArgMinOptions: { outputType: int8(0) },
  FakeQuantOptions: { min: float32(0), max: float32(1), numBits: int32(2), narrowRange: bool(3) },
  PackOptions: { valuesCount: int32(0), axis: int32(1) },
  OneHotOptions: { axis: int32(0) },
  UnpackOptions: { num: int32(0), axis: int32(1) },
  BidirectionalSequenceLSTMOptions: {
    ...fused(0),
    cellClip: float32(1),
    projClip: float32(2),
    mergeOutputs: bool(3),
    timeMajor: bool(4, true),
    asymmetricQuantizeInputs: bool(5),
  },
  BidirectionalSequenceRNNOptions: {
    timeMajor: bool(0),
    ...fused(1),
    mergeOutputs: bool(2),
    asymmetricQuantizeInputs: bool(3),
  },
  UnidirectionalSequenceLSTMOptions: {
    ...fused(0),
    cellClip: float32(1),
    projClip: float32(2),
    timeMajor: bool(3),
    asymmetricQuantizeInputs: bool(4),
    diagonalRecurrentTensors: bool(5),
  },
  ResizeNearestNeighborOptions: { alignCorners: bool(0), halfPixelCenters: bool(1) },
  LeakyReluOptions: { alpha: float32(0) },
  MirrorPadOptions: { mode: int8(0) },
  SplitVOptions: { numSplits: int32(0) },
  UniqueOptions: { idxOutType: int8(0, 2) },
  ReverseSequenceOptions: { seqDim: int32(0), batchDim: int32(1) },
  DepthToSpaceOptions: { blockSize: int32(0) },
  BatchMatMulOptions: { adjX: bool(0), adjY: bool(1), asymmetricQuantizeInputs: bool(2) },
  CumsumOptions: { exclusive: bool(0), reverse: bool(1) },
  Conv3DOptions: {
    padding: int8(0),
    strideD: int32(1),
    strideW: int32(2),
    strideH: int32(3),
    ...fused(4),
    dilationD: int32(5, 1),
    dilationW: int32(6, 1),
    dilationH: int32(7, 1),
  },
  HashtableOptions: { tableId: int32(0), keyDtype: int8(1), valueDtype: int8(2) },
  VarHandleOptions: { container: string(0), sharedName: string(1) },
  RandomOptions: { seed: int64(0), seed2: int64(1) },
  BucketizeOptions: { boundaries: float32s(0) },
  GeluOptions: { approximate: bool(0) },
} satisfies Record<string, TableSpec>

export type OptionsName = keyof typeof optionTables

/** The union of built-in options, in its order from 1 on. */
const unionMembers =
  `Conv2DOptions DepthwiseConv2DOptions ConcatEmbeddingsOptions LSHProjectionOptions Pool2DOptions SVDFOptions
  RNNOptions FullyConnectedOptions SoftmaxOptions ConcatenationOptions AddOptions L2NormOptions
  LocalResponseNormalizationOptions LSTMOptions ResizeBilinearOptions CallOptions ReshapeOptions SkipGramOptions
  SpaceToDepthOptions EmbeddingLookupSparseOptions MulOptions PadOptions GatherOptions BatchToSpaceNDOptions
  SpaceToBatchNDOptions TransposeOptions ReducerOptions SubOptions DivOptions SqueezeOptions SequenceRNNOptions
  StridedSliceOptions ExpOptions TopKV2Options SplitOptions LogSoftmaxOptions CastOptions DequantizeOptions
  MaximumMinimumOptions ArgMaxOptions LessOptions NegOptions PadV2Options GreaterOptions GreaterEqualOptions
  LessEqualOptions SelectOptions SliceOptions TransposeConvOptions SparseToDenseOptions TileOptions
  ExpandDimsOptions EqualOptions NotEqualOptions ShapeOptions PowOptions ArgMinOptions FakeQuantOptions PackOptions
  LogicalOrOptions OneHotOptions LogicalAndOptions LogicalNotOptions UnpackOptions FloorDivOptions SquareOptions
  ZerosLikeOptions FillOptions BidirectionalSequenceLSTMOptions BidirectionalSequenceRNNOptions
  UnidirectionalSequenceLSTMOptions FloorModOptions RangeOptions ResizeNearestNeighborOptions LeakyReluOptions
  SquaredDifferenceOptions MirrorPadOptions AbsOptions SplitVOptions UniqueOptions ReverseV2Options AddNOptions
  GatherNdOptions CosOptions WhereOptions RankOptions ReverseSequenceOptions MatrixDiagOptions QuantizeOptions
  MatrixSetDiagOptions HardSwishOptions IfOptions WhileOptions DepthToSpaceOptions NonMaxSuppressionV4Options
  NonMaxSuppressionV5Options ScatterNdOptions SelectV2Options DensifyOptions SegmentSumOptions BatchMatMulOptions
  CumsumOptions CallOnceOptions BroadcastToOptions Rfft2dOptions Conv3DOptions HashtableOptions
  HashtableFindOptions HashtableImportOptions HashtableSizeOptions VarHandleOptions ReadVariableOptions
  AssignVariableOptions RandomOptions BucketizeOptions GeluOptions DynamicUpdateSliceOptions
  UnsortedSegmentProdOptions UnsortedSegmentMaxOptions UnsortedSegmentMinOptions UnsortedSegmentSumOptions
  ATan2Options SignOptions BitcastOptions BitwiseXorOptions RightShiftOptions`.split(/\s+/)

/** The layout of a member of the union by its number; null for a number that we do not know. */
export function optionsSpec(type: number): TableSpec | null {
  const name = unionMembers[type - 1]
  if (name === undefined) return null
  return (optionTables as Record<string, TableSpec>)[name] ?? {}
}

export function optionsType(name: string): number {
  const index = unionMembers.indexOf(name)
  if (index < 0) throw new RangeError(`no options are named ${name}`)
  return index + 1
}

/** Fused activations by number. */
export const fusedActivations = ['NONE', 'RELU', 'RELU_N1_TO_1', 'RELU6', 'TANH', 'SIGN_BIT'] as const
export type FusedActivation = (typeof fusedActivations)[number]
