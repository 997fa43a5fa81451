"""Writes tests/grpo/golden/objectives.json: losses and per-token gradients of every objective, in float64, by
autograd over the formulas of the papers, written out here on padded tensors; and by TRL's own loss where it has one.

Run with torch 2.15.0 and trl 1.16.0 (no download):
    python tests/golden/make_objective_golden.py
It prints how far the formulas and TRL are apart. Sources: GRPO arXiv:2402.03300 eq. 3-4; DAPO arXiv:2503.14476 eq. 8;
Dr. GRPO arXiv:2503.20783; GSPO arXiv:2507.18071 eq. 5-7 and 4.3; CISPO arXiv:2506.13585 eq. 4-5; RLOO arXiv:2402.14740;
dual clip arXiv:1912.09729 eq. 5; truncated importance sampling as TRL and verl document it.
"""

import json
import pathlib
import types

import torch
import trl
from trl.trainer.grpo_trainer import GRPOTrainer

SEED = 20250122
LENGTHS = [3, 1, 6, 4, 2, 5]
TRUNCATED = [0, 0, 1, 0, 0, 1]
LONGEST = max(LENGTHS)
LIMIT = 8  # max_new_tokens: L of Dr. GRPO

torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(SEED)


def noise(scale):
    return scale * torch.randn(len(LENGTHS), LONGEST, generator=generator)


mask = (torch.arange(LONGEST)[None] < torch.tensor(LENGTHS)[:, None]).double()
logprob = -torch.rand(len(LENGTHS), LONGEST, generator=generator) * 3 - 0.05
old = logprob - noise(0.4)
reference = logprob + noise(0.5)
sampler = old + noise(0.6)
advantage = torch.tensor([1.2, -0.7, -1.5, 0.4, 0.0, 0.9])
advantage_t = noise(1.0)
# One token far above, one far below, so that dual clip and masks have something to do.
old[2, 1] = logprob[2, 1] - 1.6
old[3, 0] = logprob[3, 0] + 1.4


def loss_of(rule, logp):
    """The loss to be minimised, from the papers' formulas."""
    get = rule.get
    m = mask.clone()
    if get("mask_truncated"):
        m = m * (1 - torch.tensor(TRUNCATED).double())[:, None]
    counts = mask.sum(1)  # |o_i|
    adv = advantage_t if get("per_token") else advantage[:, None].expand(-1, LONGEST)
    log_ratio = logp - old
    rho = torch.exp(log_ratio)
    mean = (log_ratio * mask).sum(1, keepdim=True) / counts[:, None]
    kind = get("ratio", "token")
    if kind == "token":
        r = rho
    elif kind == "sequence":
        r = torch.exp(mean).expand(-1, LONGEST)
    elif kind == "product":
        r = torch.exp((log_ratio * mask).sum(1, keepdim=True)).expand(-1, LONGEST)
    else:  # GSPO-token: sg[s] * pi / sg[pi]
        r = torch.exp(mean).detach() * torch.exp(logp - logp.detach())
    low, high = get("clip_low", 0.2), get("clip_high", 0.2)
    clip = get("clip", "two_sided")
    if clip == "two_sided":
        j = torch.minimum(r * adv, torch.clamp(r, 1 - low, 1 + high) * adv)
        if get("dual_clip"):
            j = torch.where(adv < 0, torch.maximum(j, get("dual_clip") * adv), j)
    elif clip == "weight":
        j = torch.clamp(r, 1 - low, 1 + high).detach() * adv * logp
    else:
        j = r * adv
    if get("off_policy", "none") != "none":
        gap = old - sampler
        if get("off_policy_sequence"):
            gap = (gap * mask).sum(1, keepdim=True).expand(-1, LONGEST)
        u = torch.exp(gap)
        lo, hi = get("off_policy_min", 0.0), get("off_policy_max", 2.0)
        u = torch.clamp(u, max=hi) if rule["off_policy"] == "truncate" else torch.where((u >= lo) & (u <= hi), u, 0.0)
        j = j * u
    if get("off_policy_drop"):
        far = ((sampler - logp.detach()) * mask).sum(1, keepdim=True) / counts[:, None] > rule["off_policy_drop"]
        j = torch.where(far & (adv < 0), 0.0, j)
    token_loss = -j
    if get("kl"):
        d = reference - logp
        k = {"k1": -d, "k2": d * d / 2, "k3": torch.exp(d) - d - 1}[get("kl_estimate", "k3")]
        if get("kl_times_ratio"):
            k = k * rho
        token_loss = token_loss + rule["kl"] * k
    token_loss = token_loss * m
    how = get("aggregation", "sequence")
    if how == "sequence":
        return (token_loss.sum(1) / counts).mean()
    if how == "token":
        return token_loss.sum() / m.sum()
    if how == "sequence_sum":
        return token_loss.sum(1).mean()
    return token_loss.sum() / (len(LENGTHS) * rule["length"])


def trl_loss(rule, logp):
    """The same by GRPOTrainer._compute_loss, or None when TRL has no such loss."""
    get = rule.get
    loss_type = {"sequence": "grpo", "token": "dapo", "constant": "dr_grpo", "sequence_sum": "luspo"}[get("aggregation", "sequence")]
    clip, ratio = get("clip", "two_sided"), get("ratio", "token")
    if ratio not in ("token", "sequence") or clip == "none" or get("kl_estimate", "k3") != "k3":
        return None
    if get("kl_times_ratio") and ratio != "token":
        return None
    if clip == "weight":
        if loss_type != "dapo" or get("clip_low") != 1:
            return None
        loss_type = "cispo"
    m = mask.clone()
    if get("mask_truncated"):
        m = m * (1 - torch.tensor(TRUNCATED).double())[:, None]
    if ratio == "sequence" and (get("mask_truncated") or get("per_token")):
        return None
    if ratio == "sequence" and loss_type == "luspo":
        return None  # TRL sums a (B, 1) loss there: another meaning
    if get("off_policy_sequence"):
        return None
    if 0 < get("dual_clip", 0) < 1 + get("clip_high", 0.2):
        return None  # TRL's clip undoes a cap inside the clip range
    inputs = {
        "prompt_ids": torch.zeros(len(LENGTHS), 1, dtype=torch.long),
        "prompt_mask": torch.ones(len(LENGTHS), 1),
        "completion_ids": torch.zeros(len(LENGTHS), LONGEST, dtype=torch.long),
        "completion_mask": m,
        "advantages": advantage_t if get("per_token") else advantage,
        "old_per_token_logps": old,
        "ref_per_token_logps": reference,
        "num_items_in_batch": m.sum(),
    }
    if get("off_policy_drop"):
        inputs["sampling_per_token_logps"] = sampler
    off_policy = get("off_policy", "none")
    if off_policy != "none":
        u = torch.exp(old - sampler)
        lo, hi = get("off_policy_min", 0.0), get("off_policy_max", 2.0)
        inputs["importance_sampling_ratio"] = (
            torch.clamp(u, max=hi) if off_policy == "truncate" else u.masked_fill((u < lo) | (u > hi), 0.0)
        )

    class Metrics(dict):
        def __missing__(self, key):
            self[key] = []
            return self[key]

    gather = types.SimpleNamespace(
        num_processes=1, gather=lambda t: t, reduce=lambda t, reduction="sum": t, sync_gradients=False
    )
    fake = types.SimpleNamespace(
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=get("off_policy_drop") or None,
        importance_sampling_level=ratio,
        beta=get("kl", 0.0),
        loss_type=loss_type,
        epsilon_low=get("clip_low", 0.2),
        epsilon_high=1 + get("clip_high", 0.2) if loss_type == "cispo" else get("clip_high", 0.2),
        use_vllm=off_policy != "none",
        vllm_importance_sampling_correction=off_policy != "none",
        max_completion_length=get("length", LIMIT),
        current_gradient_accumulation_steps=1,
        _entropy_bonus_enabled=False,
        accelerator=gather,
        model=types.SimpleNamespace(training=True),
        args=types.SimpleNamespace(
            delta=get("dual_clip") or None, use_bias_correction_kl=bool(get("kl_times_ratio")), steps_per_generation=1
        ),
        _metrics={"train": Metrics(), "eval": Metrics()},
        get_off_policy_mask=GRPOTrainer.get_off_policy_mask,
        _get_per_token_logps_and_entropies=lambda *a, **k: (logp, torch.zeros_like(logp), None),
    )
    return GRPOTrainer._compute_loss(fake, None, inputs)


PRESETS = {
    "grpo": {"kl": 0.001},
    "grpo_math": {"kl": 0.04},
    "dapo": {"clip_low": 0.2, "clip_high": 0.28, "aggregation": "token"},
    "dapo_masked": {"clip_low": 0.2, "clip_high": 0.28, "aggregation": "token", "mask_truncated": True},
    "dr_grpo": {"aggregation": "constant", "length": LIMIT},
    "gspo": {"ratio": "sequence", "clip_low": 3e-4, "clip_high": 4e-4},
    "gspo_wide": {"ratio": "sequence", "clip_low": 0.2, "clip_high": 0.3},
    "gspo_token": {"ratio": "sequence_token", "clip_low": 0.2, "clip_high": 0.3},
    "gspo_token_by_token": {"ratio": "sequence_token", "clip_low": 0.2, "clip_high": 0.3, "per_token": True},
    "gspo_kl": {"ratio": "sequence", "clip_low": 0.2, "clip_high": 0.3, "kl": 0.05},
    "cispo": {"clip": "weight", "clip_low": 1, "clip_high": 4, "aggregation": "token"},
    "cispo_tight": {"clip": "weight", "clip_low": 1, "clip_high": 0.3, "aggregation": "token"},
    "cispo_low": {"clip": "weight", "clip_low": 0.1, "clip_high": 0.3, "aggregation": "token"},
    "rloo": {"ratio": "product"},
    "reinforce": {"clip": "none", "aggregation": "sequence_sum"},
    "reinforce_pp": {"aggregation": "token", "per_token": True},
}
PIECES = {
    "sequence_sum": {"aggregation": "sequence_sum"},
    "dual_clip": {"dual_clip": 3.0, "aggregation": "token"},
    "dual_clip_tight": {"dual_clip": 1.25, "clip_high": 0.28},
    "k1": {"kl": 0.1, "kl_estimate": "k1"},
    "k2": {"kl": 0.1, "kl_estimate": "k2"},
    "k3_times_ratio": {"kl": 0.1, "kl_times_ratio": True},
    "truncate": {"off_policy": "truncate", "off_policy_max": 1.5, "kl": 0.1},
    "mask": {"off_policy": "mask", "off_policy_min": 0.5, "off_policy_max": 1.5},
    "truncate_sequence": {"off_policy": "truncate", "off_policy_max": 1.5, "off_policy_sequence": True},
    "mask_sequence": {"off_policy": "mask", "off_policy_min": 0.2, "off_policy_max": 3.0, "off_policy_sequence": True},
    "drop": {"off_policy_drop": 0.02},
    "mask_truncated": {"mask_truncated": True, "kl": 0.1},
    "per_token": {"per_token": True},
    "gspo_token_sum": {"ratio": "sequence_token", "aggregation": "sequence_sum", "off_policy": "truncate"},
}


def rows(tensor):
    return [row[:n].tolist() for row, n in zip(tensor, LENGTHS)]


cases, apart = [], {}
for name, rule in {**PRESETS, **PIECES}.items():
    x = logprob.clone().requires_grad_()
    loss = loss_of(rule, x)
    loss.backward()
    case = {"name": name, "rule": rule, "loss": loss.item(), "slope": rows(x.grad)}
    y = logprob.clone().requires_grad_()
    theirs = trl_loss(rule, y)
    if theirs is not None:
        theirs.backward()
        case["trl"] = {"loss": theirs.item(), "slope": rows(y.grad)}
        scale = x.grad.abs().max().item()
        apart[name] = max(abs(theirs.item() - loss.item()) / max(abs(loss.item()), 1e-3), (y.grad - x.grad).abs().max().item() / scale)
    cases.append(case)

out = {
    "made_by": f"tests/golden/make_objective_golden.py, seed {SEED}, torch {torch.__version__.split('+')[0]}, trl {trl.__version__}",
    "logprob": rows(logprob),
    "old": rows(old),
    "reference": rows(reference),
    "sampler": rows(sampler),
    "advantage": advantage.tolist(),
    "advantage_t": rows(advantage_t),
    "truncated": TRUNCATED,
    "cases": cases,
}
path = pathlib.Path(__file__).resolve().parents[1] / "grpo" / "golden" / "objectives.json"
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps(out).replace('{"name"', '\n{"name"') + "\n")
for name, difference in apart.items():
    print(f"{name:20} formulas and TRL differ by {difference:.1e}")
