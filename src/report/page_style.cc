#include "report/page_style.h"

namespace trimma {

// The series colours are Okabe and Ito's, which colour-blind readers tell apart; in dark mode
// they are lightened where needed. Below 620 px the comparison's rows become blocks; other
// tables scroll in their own container.
const char* const kPageStyle = R"css(
:root{color-scheme:light dark;
 --bg:#fff;--fg:#1b1f24;--muted:#57606a;--line:#d5dae0;--soft:#f4f6f8;
 --good:#00664b;--bad:#a33c00;--before:#8b949e;--after:#0072b2;
 --c0:#0072b2;--c1:#e69f00;--c2:#009e73;--c3:#cc79a7;--c4:#56b4e9;--c5:#d55e00;--c6:#8b949e;--c7:#b8a800}
@media (prefers-color-scheme:dark){:root{
 --bg:#14171b;--fg:#e6e9ec;--muted:#a0a9b3;--line:#363d46;--soft:#1d2127;
 --good:#4fd1a5;--bad:#ff9d66;--before:#7d8792;--after:#56b4e9;
 --c0:#3f9bd8;--c4:#8fd0f5;--c5:#e8743a;--c6:#7d8792;--c7:#d6c93a}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--fg);
 font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;overflow-wrap:anywhere}
header,main,footer{max-width:66rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.8rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .6rem}
h2{font-size:1.2rem;margin:2.6rem 0 .6rem;padding-top:.5rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.5rem 0 .4rem}
p{margin:.5rem 0;max-width:46rem}
.lead{font-size:1.15rem;line-height:1.45}
.muted,.explain,.interval,figcaption,caption{color:var(--muted)}
.muted,figcaption{font-size:.9rem}
.explain,.interval{display:block;font-size:.8rem;font-weight:400;line-height:1.35}
.scroll{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums;overflow-wrap:normal}
th,td{text-align:left;vertical-align:top;padding:.4rem 1.2rem .4rem 0;border-bottom:1px solid var(--line)}
thead th{font-weight:600;color:var(--muted)}thead th.n{white-space:normal}
tbody th{font-weight:600}
td.n,th.n{text-align:right;white-space:nowrap}
td.wrap,th.wrap{overflow-wrap:anywhere;min-width:9rem}
tr.chosen td,tr.chosen th{background:var(--soft);font-weight:600}
.same{color:var(--muted)}.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
table.compare{width:100%}
table.compare th:first-child{width:38%}
table.compare .figure{font-weight:600}
code.explain{white-space:nowrap}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.87em}
pre{background:var(--soft);padding:.7rem .9rem;border-radius:4px;white-space:pre-wrap;overflow-wrap:anywhere;margin:.5rem 0}
pre code{display:block;font-size:1em;padding-left:2em;text-indent:-2em}
dl{display:grid;grid-template-columns:minmax(8rem,13rem) minmax(0,1fr);gap:.3rem 1.2rem;margin:.8rem 0;font-size:.95rem}
dt{color:var(--muted)}dd{margin:0}
ul{padding-left:1.2rem;max-width:46rem}
details{margin:.8rem 0}summary{cursor:pointer;color:var(--muted)}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1rem 2rem;align-items:end;margin:1rem 0}
.panels.three{grid-template-columns:repeat(auto-fit,minmax(min(100%,18rem),1fr))}
figure{margin:.8rem 0;min-width:0;max-width:31rem}
figcaption{margin-bottom:.3rem}
svg{display:block;width:100%;height:auto}
svg text{font-family:inherit;font-size:11px;fill:var(--fg)}
.three svg text{font-size:13px}
svg .tick{fill:var(--muted)}svg .tick.bad{fill:var(--bad);font-weight:600}svg .strong{font-weight:700}
svg .halo{paint-order:stroke;stroke:var(--bg);stroke-width:3px;stroke-linejoin:round}
svg .grid{stroke:var(--line);stroke-width:1}
svg .axis{stroke:var(--muted);stroke-width:1}
svg .leader{stroke:var(--muted);stroke-width:.8}
svg .whisker{stroke:var(--fg);stroke-width:1.2}
svg .mark{fill:var(--after);stroke:var(--bg);stroke-width:1}
svg .mark.chosen{fill:var(--c5);stroke:var(--fg);stroke-width:1.5}
svg .mark.reference{fill:var(--bg);stroke:var(--fg);stroke-width:1.5}
svg .before{fill:var(--before)}svg .after{fill:var(--after)}
svg text.tick{stroke:none}
svg .part{stroke:var(--bg);stroke-width:1}
svg .faded{opacity:.4}
.s0{fill:var(--c0)}.s1{fill:var(--c1)}.s2{fill:var(--c2)}.s3{fill:var(--c3)}
.s4{fill:var(--c4)}.s5{fill:var(--c5)}.s6{fill:var(--c6)}.s7{fill:var(--c7)}
.key{font-size:.85rem;color:var(--muted);margin:.2rem 0 .4rem}
.swatch{display:inline-block;width:.8em;height:.8em;margin:0 .35em 0 .2em;border-radius:2px;vertical-align:-.05em}
.swatch:not(:first-child){margin-left:1em}
.b0{background:var(--c0)}.b1{background:var(--c1)}.b2{background:var(--c2)}.b3{background:var(--c3)}
.b4{background:var(--c4)}.b5{background:var(--c5)}.b6{background:var(--c6)}.b7{background:var(--c7)}
footer{margin-top:2rem;padding-bottom:2rem;font-size:.85rem;color:var(--muted)}
@media (max-width:620px){
 th,td{padding-right:.8rem}td.wrap,th.wrap{min-width:6.5rem}
 dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:.5rem}
 table.compare,table.compare tbody,table.compare caption{display:block}
 table.compare thead{display:none}
 table.compare tr{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:0 .6rem;padding:.5rem 0;border-bottom:1px solid var(--line)}
 table.compare th,table.compare td{border:0;padding:.1rem 0}
 table.compare th:first-child{grid-column:1/-1;width:auto}
 table.compare td.n{text-align:left;white-space:normal}
 table.compare td:empty{display:none}
 table.compare td::before{content:attr(data-label);display:block;font-size:.75rem;color:var(--muted);font-weight:400}
}
@media print{
 :root{--bg:#fff;--fg:#000;--muted:#444;--line:#bbb;--soft:#f2f2f2;--good:#00664b;--bad:#a33c00;--before:#8b949e;
  --after:#0072b2;--c0:#0072b2;--c4:#56b4e9;--c5:#d55e00;--c6:#8b949e;--c7:#b8a800;color-scheme:light}
 body{font-size:10.5pt}header,main,footer{max-width:none;padding:0}
 .scroll{overflow:visible}tr,figure,pre{break-inside:avoid}h2,h3{break-after:avoid}
 svg,.swatch{print-color-adjust:exact;-webkit-print-color-adjust:exact}
 details::details-content{content-visibility:visible;height:auto}
}
)css";

}  // namespace trimma
