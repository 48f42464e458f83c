"""ImageNet, ResNet-50: the paper's main setting (section 2 and appendix B.6).

Batch 4096, LARS with learning rate 0.3 x B/256 = 4.8, weight decay 1e-6, temperature 0.1, strength 1, blur, 100 epochs
of which 10 warm up. The gradient is that of the official loss, twice the mean (loss_factor 2), so that LARS takes the
official step. What still differs from the official code, the law of the crops above all, is in docs/reference.md, 7.

Command:   twofold pretrain ILSVRC2012/ --recipe imagenet-resnet50 --out runs/imagenet-resnet50
           (ILSVRC2012/ with train/CLASS/*.JPEG and test/CLASS/*.JPEG, the official validation images as test)
Hardware:  a device that holds batch 4096 at 224 px
Time:      not run here.
Result:    not run here. The official code's README gives about 64.5 % linear top-1 after 100 epochs.
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
    name="imagenet-resnet50",
    data=DataRecipe(channels=3),
    views=ViewsRecipe(size_px=224, policy="simclr", strength=1.0, eval_crop_fraction=0.875),
    encoder=EncoderRecipe(encoder="resnet50", stem="imagenet"),
    head=HeadRecipe(head="nonlinear", head_layers=2, z_dim=128),
    loss=LossRecipe(temperature=0.1, loss_factor=2.0),
    optim=OptimRecipe(optimizer="lars", base_lr=0.3, lr_scaling="linear", weight_decay=1e-6, warmup_fraction=0.1),
    schedule=ScheduleRecipe(batch_size=4096, epochs=100.0),
)
