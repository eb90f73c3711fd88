/** Where a limit or an observation comes from. */
export const sources = {
  'Axis ARTPEC-7': 'developer.axis.com, ARTPEC-7: supported operations of the Edge TPU (Coral’s table)',
  'coral.ai': 'coral.ai/docs/edgetpu/models-intro: model requirements and supported operations',
  'coral.ai 2019':
    'an older copy of Coral’s table (dgist-datalab/Datalab_Intern, Edge_TPU/convert_model_for_Edge_TPU.md)',
  'google-coral/test_data':
    'six source and compiled files of google-coral/test_data (2019 and 2021 compilers)',
  'google-coral/edgetpu#31': 'RESIZE_BILINEAR to 128×128 maps, to 512×512 does not',
  'google-coral/edgetpu#75': 'batches made by SPACE_TO_BATCH_ND have an unsupported rank',
  'google-coral/edgetpu#147': 'LEAKY_RELU is not mapped, PRELU is offered instead',
  'google-coral/edgetpu#165': 'max(x, αx) in place of LEAKY_RELU',
  'google-coral/edgetpu#187': 'a U-Net’s upsampling maps at 128×128, not at 256×256',
  'google-coral/edgetpu#193': 'compiler 16 maps TRANSPOSE, earlier ones do not',
  'google-coral/edgetpu#272': 'LEAKY_RELU and HARD_SWISH of YOLOv5s stay on the CPU',
  'google-coral/edgetpu#342': 'what follows the first operator left out stays on the CPU; -a makes it slower',
  'google-coral/edgetpu#353': 'HARD_SWISH of MobileNet v3 stays on the CPU',
  'google-coral/edgetpu#393':
    'PACK of more than three dimensions ends the mapped part of an SSD with a feature pyramid',
  'google-coral/edgetpu#461': 'MEAN over 256×128 is not mapped, over 64×128 it is',
  'google-coral/edgetpu#490': 'the operator log of an EfficientDet-Lite',
  'google-coral/edgetpu#512': 'YOLOv5s at several sizes: large activations are left out',
  'google-coral/edgetpu#597': 'LEAKY_RELU is not supported; resizing to 1024×1024 is too large',
  'google-coral/edgetpu#659': 'DEQUANTIZE and QUANTIZE of floats stay on the CPU; QUANTIZE needs runtime 13',
  'google-coral/edgetpu#671': 'EfficientDet-Lite3 and 4: compilation fails at large activations',
  'google-coral/edgetpu#686': 'three of four TRANSPOSE_CONV are mapped',
  'f0cal/google-coral#20':
    'github.com/f0cal/google-coral/issues/20: MobileNet v2 with float inputs: all but QUANTIZE and DEQUANTIZE is mapped',
  'WongKinYiu/yolov7#1672': 'github.com/WongKinYiu/yolov7/pull/1672: 246 of 246 operators are mapped',
  'eehoeskrap/PaperReview#15':
    'github.com/eehoeskrap/PaperReview/issues/15: 139 of 139 operators are mapped, RESIZE_BILINEAR and PRELU among them',
  Edgewright: 'our own reading; no log at hand shows it',
} as const

export type Source = keyof typeof sources
