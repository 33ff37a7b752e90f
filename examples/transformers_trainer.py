"""The Transformers Trainer, through ``optimizer_cls_and_kwargs``.

The Trainer builds the optimizer from a class and its arguments. Two of them are not what they seem:

- weight_decay: the Trainer makes two parameter groups of its own, one with the weight_decay of its
  TrainingArguments and one without any, for biases and norms. In torch.optim what a group says
  comes before what the constructor is given, so that the optimizer's weight_decay is overridden in
  both, also by the Trainer's default, 0. Set it in TrainingArguments.
- lr: the arguments of ``optimizer_cls_and_kwargs`` are the whole call, so that the learning_rate of
  TrainingArguments reaches nobody. Set it in the optimizer's arguments.

The limit follows the Trainer's scheduler: r, the ratio of a proposed update to the limit, stays
what it was when both have become small. Needs transformers and accelerate; the model is a tiny
GPT-2 with random weights, so that nothing is downloaded.
"""

import tempfile

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from subluminal import RelativisticAdamW
from subluminal.callbacks import transformers_callback

transformers.logging.set_verbosity_error()
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(vocab_size=16, n_positions=16, n_embd=32, n_layer=2, n_head=2))
counting = [torch.arange(start, start + 16) % 16 for start in range(16)]  # to be continued by one
rows = [{"input_ids": row, "labels": row} for row in counting] * 16

with tempfile.TemporaryDirectory() as folder:
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=folder,
            learning_rate=0.7,  # reaches nobody
            weight_decay=0.1,
            lr_scheduler_type="cosine",
            max_steps=60,
            per_device_train_batch_size=16,
            logging_steps=20,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=rows,
        optimizer_cls_and_kwargs=(
            RelativisticAdamW,
            {
                "lr": 0.01,
                "weight_decay": 0.5,  # overridden
                "speed_limit": 0.003,
                "speed_unit": "rms",
                "speed_follows_lr": True,
                "telemetry": True,
            },
        ),
        callbacks=[transformers_callback()],
    )
    trainer.remove_callback(PrinterCallback)  # which prints every number that is logged
    trainer.train()

optimizer = trainer.optimizer.optimizer  # which accelerate has wrapped
print(f"weight_decay of the optimizer's arguments: {optimizer.defaults['weight_decay']}")
for group in optimizer.param_groups:
    print(
        f"group of {len(group['params'])} tensors: weight_decay {group['weight_decay']}, "
        f"first lr {group['initial_lr']}"
    )
log = [entry for entry in trainer.state.log_history if "loss" in entry]
for entry in log:
    rms, ratio = (
        max(value for name, value in entry.items() if name.startswith(f"speed/{quantity}/"))
        for quantity in ("applied_rms", "ratio")
    )
    loss = float(entry["loss"])
    print(f"step {entry['step']}: loss {loss:.3f}, fastest tensor {rms:.1e}, largest r {ratio:.2f}")
