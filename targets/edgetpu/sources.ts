/** Where a limit or an observation comes from. */
export const sources = {
  AXIS: 'developer.axis.com, ARTPEC-7: supported operations of the Edge TPU (Coral’s table)',
  CORAL: 'coral.ai/docs/edgetpu/models-intro: model requirements and supported operations',
  'CORAL-2019':
    'an older copy of Coral’s table (dgist-datalab/Datalab_Intern, Edge_TPU/convert_model_for_Edge_TPU.md)',
  COMPILER: 'coral.ai/docs/edgetpu/compiler',
  PAIRS: 'six source and compiled files of google-coral/test_data (2019 and 2021 compilers)',
  'edgetpu#31':
    'github.com/google-coral/edgetpu/issues/31: RESIZE_BILINEAR to 128×128 maps, to 512×512 does not',
  'edgetpu#75':
    'github.com/google-coral/edgetpu/issues/75: batches made by SPACE_TO_BATCH_ND have an unsupported rank',
  'edgetpu#147':
    'github.com/google-coral/edgetpu/issues/147: LEAKY_RELU is not mapped, PRELU is offered instead',
  'edgetpu#165': 'github.com/google-coral/edgetpu/issues/165: max(x, αx) in place of LEAKY_RELU',
  'edgetpu#187':
    'github.com/google-coral/edgetpu/issues/187: a U-Net’s upsampling maps at 128×128, not at 256×256',
  'edgetpu#193':
    'github.com/google-coral/edgetpu/issues/193: compiler 16 maps TRANSPOSE, earlier ones do not',
  'edgetpu#272':
    'github.com/google-coral/edgetpu/issues/272: LEAKY_RELU and HARD_SWISH of YOLOv5s stay on the CPU',
  'edgetpu#342':
    'github.com/google-coral/edgetpu/issues/342: what follows the first operator left out stays on the CPU; -a makes it slower',
  'edgetpu#353': 'github.com/google-coral/edgetpu/issues/353: HARD_SWISH of MobileNet v3 stays on the CPU',
  'edgetpu#393':
    'github.com/google-coral/edgetpu/issues/393: PACK of more than three dimensions ends the mapped part of an SSD with a feature pyramid',
  'edgetpu#461':
    'github.com/google-coral/edgetpu/issues/461: MEAN over 256×128 is not mapped, over 64×128 it is',
  'edgetpu#490': 'github.com/google-coral/edgetpu/issues/490: the operator log of an EfficientDet-Lite',
  'edgetpu#512':
    'github.com/google-coral/edgetpu/issues/512: YOLOv5s at several sizes: large activations are left out',
  'edgetpu#597':
    'github.com/google-coral/edgetpu/issues/597: LEAKY_RELU is not supported; resizing to 1024×1024 is too large',
  'edgetpu#659':
    'github.com/google-coral/edgetpu/issues/659: DEQUANTIZE and QUANTIZE of floats stay on the CPU; QUANTIZE needs runtime 13',
  'edgetpu#671':
    'github.com/google-coral/edgetpu/issues/671: EfficientDet-Lite3 and 4: compilation fails at large activations',
  'edgetpu#686': 'github.com/google-coral/edgetpu/issues/686: three of four TRANSPOSE_CONV are mapped',
  'google-coral#20':
    'github.com/f0cal/google-coral/issues/20: MobileNet v2 with float inputs: all but QUANTIZE and DEQUANTIZE is mapped',
  'yolov7#1672': 'github.com/WongKinYiu/yolov7/pull/1672: 246 of 246 operators are mapped',
  'PaperReview#15':
    'github.com/eehoeskrap/PaperReview/issues/15: 139 of 139 operators are mapped, RESIZE_BILINEAR and PRELU among them',
  LIBEDGETPU: 'TensorFlow Lite’s delegate partitioning, which the compiler uses',
  US: 'our own reading; no log at hand shows it',
} as const

export type Source = keyof typeof sources
