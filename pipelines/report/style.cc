#include "pipelines/report/style.h"

namespace aha::pipelines {

// Hues: Okabe and Ito's set, safe for colour-blind readers, darkened for text on white and
// lightened for text on black.
std::string_view StyleSheet() {
  return R"css(:root { color-scheme: light dark;
  --haze: 0.17; --paper: #fff; --ink: #1c1c1a; --soft: #5d5d58; --rule: #c9c9c3; --grid: #e9e9e4; --wash: #f7f7f4;
  --kept: #00694b; --lost: #b3261e; --tag: #7b3f98;
  --c0: #0067a5; --c1: #c24e00; --c2: #00785a; --c3: #a8497f; --c4: #8a6a00; --c5: #4d4d4d; }
@media (prefers-color-scheme: dark) { :root {
  --haze: 0.27; --paper: #161716; --ink: #e4e4df; --soft: #a3a39b; --rule: #4a4b48; --grid: #2b2c2a; --wash: #1e1f1e;
  --kept: #52c79f; --lost: #ff8a7a; --tag: #cf9fe6;
  --c0: #66b8f0; --c1: #f59a5b; --c2: #3fc49a; --c3: #e79ac6; --c4: #e0c04c; --c5: #b9b9b4; } }
@media print { :root { color-scheme: light;
  --haze: 0.17; --paper: #fff; --ink: #000; --soft: #4a4a46; --rule: #b5b5af; --grid: #e2e2dd; --wash: #fff;
  --kept: #00694b; --lost: #b3261e; --tag: #7b3f98;
  --c0: #0067a5; --c1: #c24e00; --c2: #00785a; --c3: #a8497f; --c4: #8a6a00; --c5: #4d4d4d; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: break-word;
  font: 15px/1.45 -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial,
  "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", system-ui, sans-serif; font-variant-numeric: tabular-nums lining-nums; }
main { max-width: 1240px; margin: 0 auto; padding: clamp(16px, 3.5vw, 48px) clamp(14px, 3.5vw, 44px); }
h1, h2 { font-family: "Iowan Old Style", "Palatino Linotype", Palatino, Charter, Georgia,
  "Liberation Serif", serif; font-weight: 600; line-height: 1.2; text-wrap: balance; }
h1 { font-size: clamp(24px, 3.2vw, 32px); margin: 0 0 6px; }
h2 { font-size: 20px; margin: 44px 0 12px; padding-top: 10px; border-top: 1px solid var(--ink); }
h3 { font-size: 15px; font-weight: 600; margin: 0 0 2px; line-height: 1.4; }
h4 { font-size: 13px; font-weight: 600; margin: 0; }
p, ul { margin: 0 0 10px; max-width: 76ch; }
ul { padding-left: 1.1em; }
li { margin: 0 0 4px; }
small { display: block; font-size: 12px; font-weight: 400; color: var(--soft); line-height: 1.35; }
.soft { color: var(--soft); font-weight: 400; }
.kept { color: var(--kept); }
.lost { color: var(--lost); }
.verdict { font-size: 17px; margin-bottom: 16px; }
dl.run { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 230px), 1fr));
  gap: 8px 28px; margin: 0; font-size: 13.5px; }
dt { color: var(--soft); font-size: 12px; }
dd { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; line-height: 1.35; }
.caption { color: var(--soft); font-size: 12.5px; margin: 8px 0 0; max-width: 110ch; }
th, td { text-align: left; vertical-align: top; padding: 6px 14px 6px 0; font-weight: 400; }
th:last-child, td:last-child { padding-right: 0; }
thead th, thead td { vertical-align: bottom; color: var(--soft); font-size: 12px; line-height: 1.25;
  border-bottom: 1px solid var(--rule); padding-top: 0; }
tbody tr + tr > * { border-top: 1px solid var(--grid); }
tbody tr:last-child > * { border-bottom: 1px solid var(--rule); }
tbody th { font-weight: 600; }
.n { text-align: right; white-space: nowrap; }
thead .n { white-space: normal; }
table.claims { width: 100%; }
.claims tr > :first-child { white-space: nowrap; width: 1%; padding-right: 24px; }
.claims tr > :nth-child(2) { width: 46%; }
.claims td:first-child { font-weight: 600; }
.claims tbody th { font-weight: 400; }
table.stages { width: 100%; min-width: 860px; }
.stages tbody th { min-width: 150px; max-width: 250px; }
.stages thead .n { max-width: 84px; min-width: 62px; }
.stages .plot { width: 180px; }
svg { display: block; }
.dots .rule { stroke: var(--grid); fill: none; }
.dots .whisker { stroke: var(--soft); stroke-width: 6; opacity: 0.45; fill: none; }
.dots circle { fill: var(--ink); }
table.families { min-width: 560px; }
.families td.n, .families th.n { padding-left: 10px; }
.families .again th { color: transparent; }
.families tr.again > * { border-top: 0; padding-top: 0; }
.times td, .times th { vertical-align: middle; }
.length { stroke: var(--soft); stroke-width: 6; }
.sum > * { font-weight: 600; }
.key { display: flex; flex-wrap: wrap; gap: 4px 22px; max-width: none; font-size: 13px; margin-bottom: 14px; }
.key span { display: inline-flex; align-items: center; gap: 8px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 350px), 1fr)); gap: 26px 32px; }
figure { margin: 0; min-width: 0; break-inside: avoid; max-width: 560px; }
figure > svg { width: 100%; height: auto; overflow: visible; }
figcaption { font-weight: 600; font-size: 13.5px; margin-bottom: 4px; }
.note { font-size: 12px; color: var(--soft); margin: 4px 0 0; line-height: 1.35; }
svg text { font-size: 11px; fill: var(--soft); }
.grid path { stroke: var(--grid); }
.axis path { stroke: var(--soft); }
.frame { fill: none; stroke: var(--grid); }
.line { fill: none; stroke: var(--c); stroke-width: 1.7; stroke-linejoin: round; }
.band { fill: var(--c); opacity: var(--haze); }
.bar { stroke: var(--c); stroke-width: 1.2; fill: none; opacity: 0.5; }
.dot { fill: var(--c); }
.hit { fill: transparent; }
.hit:hover { fill: var(--c); }
.leader { stroke: var(--c); stroke-width: 0.8; opacity: 0.7; fill: none; stroke-dasharray: none !important; }
.label text { fill: var(--c); font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 3px;
  stroke-linejoin: round; }
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); }
.c3 { --c: var(--c3); } .c4 { --c: var(--c4); } .c5 { --c: var(--c5); }
.d1 .line { stroke-dasharray: 7 2.5; } .d2 .line { stroke-dasharray: 2.2 2; }
.d3 .line { stroke-dasharray: 9 2.5 2 2.5; } .d4 .line { stroke-dasharray: 14 3; }
.d5 .line { stroke-dasharray: 5 2 1.5 2 1.5 2; }
.transcript { margin: 0 0 30px; }
.question { white-space: pre-wrap; }
.facts { display: flex; flex-wrap: wrap; gap: 0 14px; font-size: 12.5px; margin: 0 0 6px; max-width: none; }
.attempts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); gap: 14px 20px; }
.attempt { min-width: 0; border-top: 1px solid var(--rule); padding-top: 6px; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4; unicode-bidi: isolate;
  font: 12.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace; }
.attempt pre { background: var(--wash); padding: 6px 9px; }
.attempt details pre { border-left: 2px solid var(--rule); }
.tag { color: var(--tag); }
summary { cursor: pointer; font-size: 12.5px; color: var(--soft); padding: 4px 0; }
summary:hover { color: var(--ink); }
.recipe summary { font-size: 14px; color: var(--ink); }
.recipe pre { background: var(--wash); padding: 10px 12px; }
@media (max-width: 640px) {
  table.claims, .claims tbody, .claims tr, .claims tr > :nth-child(n) { display: block; width: auto; }
  .claims thead { display: none; }
  .claims tr { padding: 8px 0; border-bottom: 1px solid var(--grid); }
  .claims tbody tr > * { border: 0; padding: 1px 0; }
  .stages tbody th, .families tbody th { position: sticky; left: 0; background: var(--paper);
    background-clip: padding-box; min-width: 0; }
  .stages tbody th { max-width: 112px; }
  .stages tbody th small, .stages .plot { display: none; }
  table.stages { min-width: 600px; }
  dl.run { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); }
}
@media print {
  @page { margin: 14mm; }
  main { max-width: none; padding: 0; }
  body { font-size: 10pt; }
  h2, h3, h4 { break-after: avoid; }
  tr, .attempt, .claims tr { break-inside: avoid; }
  .wide { overflow: visible; }
  table.stages { min-width: 0; font-size: 8.5pt; }
  .stages .plot, .hit { display: none; }
  .charts { grid-template-columns: 1fr 1fr; }
  .attempts { grid-template-columns: 1fr 1fr; }
}
)css";
}

}  // namespace aha::pipelines
