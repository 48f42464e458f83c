"""CIFAR-10, ResNet-18, 1000 epochs: the paper's CIFAR settings (appendix B.9) on the encoder everybody compares.

Rates are those of the official code, and so is the gradient: that of its loss, twice the mean (loss_factor 2). What
still differs from it is in docs/reference.md, 7.

Command:   twofold pretrain CIFAR10 --recipe cifar10-resnet18 --out runs/cifar10-resnet18
Hardware:  one GPU with 16 GB
Time:      not run as a whole. A step on one H200: 2.7 s an epoch, 1.2 s with --compile True (benchmarks/RESULTS.md).
           Others report about 12 s an epoch on an A100 for a comparable set-up (dkobak/simclr-cifar10).
Result:    not run here. Others report linear 90.7 (solo-learn) to 91.7 (dkobak), in per cent of the test split.
"""

from twofold.recipes.recipe import (
    DataRecipe,
    EncoderRecipe,
    HeadRecipe,
    LossRecipe,
    OptimRecipe,
    Recipe,
    ScheduleRecipe,
    ViewsRecipe,
)

RECIPE = Recipe(
    name="cifar10-resnet18",
    data=DataRecipe(channels=3),
    views=ViewsRecipe(size_px=32, policy="small", strength=0.5, eval_crop_fraction=1.0),
    encoder=EncoderRecipe(encoder="resnet18", stem="small"),
    head=HeadRecipe(head="nonlinear", head_layers=2, z_dim=128),
    loss=LossRecipe(temperature=0.5, loss_factor=2.0),
    optim=OptimRecipe(optimizer="lars", base_lr=1.0, lr_scaling="linear", weight_decay=1e-6, warmup_fraction=0.01),
    schedule=ScheduleRecipe(batch_size=512, epochs=1000.0),
)
