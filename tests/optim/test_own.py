"""An optimizer of the user's: what is read from it, what it is given, what is refused."""

import functools
import json

import pytest
import torch
from torch import nn

from twofold.errors import TwofoldError
from twofold.optim import LARS, build_optimizer, param_groups, set_lr
from twofold.optim.own import OwnOptimizer, own_optimizer
from twofold.recipes.recipe import Recipe


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2, bias=False))


def recipe_of(source: object) -> OwnOptimizer:
    return own_optimizer(source)


def test_its_name_rate_decay_and_momentum_become_settings() -> None:
    recipe = recipe_of(lambda groups: torch.optim.SGD(groups, lr=0.05, momentum=0.7, weight_decay=0.01))
    assert (recipe.optimizer, recipe.base_lr, recipe.lr_scaling) == ("own:torch.optim.sgd.SGD", 0.05, "none")
    assert (recipe.momentum, recipe.weight_decay) == (0.7, 0.01)
    adam = recipe_of(functools.partial(torch.optim.AdamW, lr=1e-3, betas=(0.8, 0.9)))
    assert (adam.optimizer, adam.momentum, adam.weight_decay) == ("own:torch.optim.adamw.AdamW", 0.8, 0.01)


def test_a_recipe_with_it_survives_json_but_for_the_function() -> None:
    whole = Recipe(optim=recipe_of(lambda groups: torch.optim.SGD(groups, lr=0.05)))
    again = Recipe.from_dict(json.loads(json.dumps(whole.to_dict())))
    assert again.settings() == whole.settings()
    with pytest.raises(TwofoldError, match=r"optimizer is 'own:torch.optim.sgd.SGD', .*Give it in Python"):
        build_optimizer(network(), again.optim, lr=0.05)


def test_its_own_decay_acts_on_weights_and_spares_norms_and_biases() -> None:
    model = network()
    optimizer = build_optimizer(
        model, recipe_of(lambda groups: torch.optim.SGD(groups, lr=1.0, weight_decay=0.5)), lr=9.0
    )
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for name, weight in model.named_parameters():
        spared = "bias" in name or name.startswith("1.")
        torch.testing.assert_close(weight.detach(), before[name] * (1.0 if spared else 0.5))


def test_the_schedule_scales_the_rate_of_each_group_in_proportion() -> None:
    def build(groups: list[dict]) -> torch.optim.Optimizer:
        weights, exempt = groups
        return torch.optim.SGD([{**weights, "lr": 0.2}, {**exempt, "lr": 0.05}], lr=1.0)

    recipe = recipe_of(build)
    assert recipe.base_lr == 0.2
    optimizer = build_optimizer(network(), recipe, lr=0.2)
    for lr in (0.2, 0.1, 0.0):
        set_lr(optimizer, lr)
        assert [group["lr"] for group in optimizer.param_groups] == [lr, pytest.approx(lr / 4)]


def test_without_rates_of_their_own_all_groups_get_the_very_rate() -> None:
    optimizer, rate = LARS(network(), lr=1.0), torch.tensor(0.5)
    set_lr(optimizer, rate)
    assert all(group["lr"] is rate for group in optimizer.param_groups)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (3, "optimizer is 3 of the type int"),
        (lambda groups: groups, "optimizer returned an object of the type list"),
        (lambda groups: torch.optim.LBFGS(groups[0]["params"], lr=1.0), "computes the loss several times a step"),
        (lambda groups: torch.optim.SGD(groups, lr=0.0), "base_lr is 0.0"),
        (torch.optim.LBFGS, r"failed when it was called \(ValueError: LBFGS doesn't support .*gets parameter groups"),
        (lambda: None, r"failed when it was called \(TypeError"),
    ],
)
def test_what_is_no_such_function_is_refused(source: object, words: str) -> None:
    with pytest.raises(TwofoldError, match=words):
        recipe_of(source)


def test_one_that_leaves_parameters_out_is_refused() -> None:
    recipe = recipe_of(lambda groups: torch.optim.SGD(groups[:1], lr=0.1))
    with pytest.raises(TwofoldError, match="holds 2 of the model's 5 parameters"):
        build_optimizer(network(), recipe, lr=0.1)


def test_lars_of_a_model_is_lars_of_its_groups() -> None:
    states = []
    for build in (lambda m: LARS(m, lr=0.5, weight_decay=0.1), lambda m: LARS(param_groups(m, 0.1), lr=0.5)):
        torch.manual_seed(0)
        model = network()
        optimizer = build(model)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(4, 3) * torch.arange(4)[:, None]).square().sum().backward()
            optimizer.step()
        states.append([weight.detach() for weight in model.parameters()])
        assert [group["adapt"] for group in optimizer.param_groups] == [True, False]
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    assert not any(group["adapt"] for group in LARS(network(), lr=0.5, adapt=False).param_groups)


def test_lars_of_bare_parameters_warns_and_takes_them_as_they_are() -> None:
    with pytest.warns(UserWarning, match=r"5 parameters without groups, 3 of them norms or biases"):
        optimizer = LARS(network().parameters(), lr=0.5)
    assert [group["adapt"] for group in optimizer.param_groups] == [True]
    LARS(network().parameters(), lr=0.5, adapt=False)  # plain momentum: nothing to warn of
