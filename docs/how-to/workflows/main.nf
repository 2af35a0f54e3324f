// A cross-validation with Nextflow:
//   nextflow run main.nf --data /path/to/data --task Task004_X
// All processes work on one folder that every node sees; what they hand on are signals, not files.
params.folds = '0,1,2,3,4'
params.trainer = 'ClassifierTrainer'
params.train_args = ''

process preprocess {
  cpus 8
  output:
    val true
  script:
    """
    uc plan-and-preprocess --data-root ${params.data} -t ${params.task} -tf ${task.cpus}
    """
}

process train {
  cpus 4
  memory '8 GB' // uc train prints what it needs
  errorStrategy 'retry'
  maxRetries 3
  input:
    val ready
    val fold
  output:
    val fold
  script:
    def model = "${params.data}/trained_models/nnUNet/3d_fullres/${params.task}/${params.trainer}__UniversalClassifierPlansv1.0"
    """
    more=
    if [ -e ${model}/fold_${fold}/model_latest.safetensors ]; then more=-c; fi
    uc train --data-root ${params.data} 3d_fullres ${params.trainer} ${params.task} ${fold} --seed 1 --threads ${task.cpus} --workers ${task.cpus} ${params.train_args} \$more
    """
}

process evaluate {
  input:
    val folds
  script:
    """
    uc evaluate --data-root ${params.data} ${params.task} -tr ${params.trainer} -f ${folds.join(' ')}
    """
}

workflow {
  ready = preprocess()
  train(ready.first(), Channel.fromList(params.folds.tokenize(',')))
  evaluate(train.out.collect())
}
