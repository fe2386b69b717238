// The console: takes what the service sends every second, and shows it.
"use strict";

(() => {
  const { h, foreign, printable, price, amount, percent, clock, date, duration, label } = Format;
  const LOST_MS = 4000; // a message is due every second
  const RETRY_MS = 3000;
  const BARS = 900;
  const GLYPHS = {
    critical: "▲▲", warning: "▲", elevated: "△", calm: "●", warming_up: "◔", quiet: "○",
    unknown: "?", info: "◆",
  };
  const WORDS = {
    critical: "critical", warning: "warning", elevated: "raised", calm: "calm",
    warming_up: "warming up", quiet: "no events", unknown: "cannot tell", info: "lasting change",
  };
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";

  let overview = null;
  let detail = null; // of the chosen symbol, with all its bars
  let chosen = null;
  let byHand = false; // else the most stressed symbol is followed
  let source = null;
  let lastMessageAt = performance.now();
  let heard = false;
  let refusal = "";

  // ------------------------------------------------------------------ the connection

  function connect() {
    if (source) source.close();
    detail = null;
    const query = chosen === null ? "" : `?symbol=${encodeURIComponent(chosen)}`;
    const its = new EventSource(`events${query}`);
    source = its;
    its.addEventListener("overview", (event) => {
      lastMessageAt = performance.now();
      heard = true;
      refusal = "";
      overview = JSON.parse(event.data);
      follow();
      show();
    });
    its.addEventListener("symbol", (event) => {
      take(JSON.parse(event.data));
      showDetail();
    });
    its.addEventListener("error", () => {
      if (its.readyState === EventSource.CLOSED && its === source) {
        explainRefusal();
        setTimeout(() => { if (its === source) connect(); }, RETRY_MS);
      }
      pulse();
    });
  }

  // An event source does not tell why it was refused.
  async function explainRefusal() {
    const stop = new AbortController();
    try {
      const response = await fetch("events", { signal: stop.signal });
      refusal = response.ok ? "" : (await response.text()).trim();
    } catch {
      refusal = "";
    }
    stop.abort();
    pulse();
  }

  function take(sent) {
    if (sent.symbol !== chosen) return;
    if (!sent.whole && detail) {
      const ts_ms = detail.bars.ts_ms.concat(sent.bars.ts_ms).slice(-BARS);
      const columns = {};
      for (const [name, values] of Object.entries(sent.bars.columns)) {
        columns[name] = (detail.bars.columns[name] || []).concat(values).slice(-BARS);
      }
      sent.bars = { ts_ms, columns };
    }
    detail = sent;
  }

  // Show the symbol that matters most, until somebody chooses.
  function follow() {
    if (byHand || !overview.symbols.length) return;
    const top = overview.market.symbol ?? overview.symbols[0].symbol;
    const mine = overview.symbols.find((row) => row.symbol === chosen);
    const alarmed = overview.market.state === "critical" || overview.market.state === "warning";
    if (chosen === null || !mine || (alarmed && mine.state !== "critical" && mine.state !== "warning")) {
      choose(top, false);
    }
  }

  function choose(symbol, hand) {
    if (hand) {
      byHand = true;
      history.replaceState(null, "", `#${encodeURIComponent(symbol)}`);
    }
    if (symbol === chosen) return;
    chosen = symbol;
    connect();
    showSymbols();
    $("detail-title").replaceChildren(foreign(symbol));
  }

  function pulse() {
    const silent = performance.now() - lastMessageAt;
    const lost = silent > LOST_MS;
    document.body.classList.toggle("lost", lost);
    const connection = $("connection");
    connection.dataset.level = lost ? "problem" : heard ? "ok" : "notice";
    connection.querySelector(".words").textContent = lost ? "connection lost" : heard ? "live" : "connecting";
    const banner = $("lost");
    banner.hidden = !lost;
    if (lost) {
      const since = heard ? `last update ${duration(silent)} ago; what is below is as it was then` : "nothing was heard yet";
      const why = refusal ? ` The service says: ${printable(refusal)}.` : "";
      setText(banner, `Connection lost, ${since}. Trying again.${why}`);
      document.title = "✕ connection lost – Foreshock";
    }
  }

  // ------------------------------------------------------------------ showing

  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function svg(tag, attributes) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  function meter(ratio) {
    const its = svg("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" });
    its.append(
      svg("rect", { class: "back", width: 100, height: 12 }),
      svg("rect", { class: "fill", width: 100 * Math.min(1, Math.max(0, ratio)), height: 12 }),
    );
    return its;
  }

  function spark(values) {
    const its = svg("svg", { viewBox: "0 0 100 26", preserveAspectRatio: "none", "aria-hidden": "true" });
    its.append(svg("line", { x1: 0, x2: 100, y1: 25, y2: 25 }));
    let points = [];
    const flush = () => {
      if (points.length) its.append(svg("polyline", { points: points.join(" ") }));
      points = [];
    };
    values.forEach((value, i) => {
      if (value === null) flush();
      else points.push(`${(100 * i) / (values.length - 1)},${25 - 23 * Math.min(1, value)}`);
    });
    flush();
    return its;
  }

  function mood(state) {
    return h("span", { class: `mood ${state}` }, `${GLYPHS[state]} ${WORDS[state]}`);
  }

  function show() {
    showVerdict();
    showService();
    showSymbols();
    showIncidents();
    pulse();
  }

  const rowOf = (symbol) => overview.symbols.find((row) => row.symbol === symbol);

  // What the matter is now: an incident's sentence is of when it was raised.
  function standing(row) {
    const incident = row?.incident;
    if (!incident) return "";
    return incident.now.length ? `Now: ${incident.now.map(([, said]) => printable(said)).join("; ")}.`
      : `Quiet for ${duration(1000 * incident.quiet_seconds)}; it ends after ${duration(1000 * incident.resolves_seconds)} without an alarm.`;
  }

  const since = (ms) => `since ${clock(ms)} UTC, for ${duration(overview.market_ms - ms)}`;

  function showVerdict() {
    const { market } = overview;
    const verdict = $("verdict");
    verdict.dataset.state = market.state;
    setText(verdict.querySelector(".glyph"), GLYPHS[market.state]);
    setText(verdict.querySelector(".word"), WORDS[market.state]);
    const sentence = verdict.querySelector(".sentence");
    const said = `${market.symbol ?? ""}|${market.sentence}`;
    if (sentence.dataset.said !== said) { // told once to who listens
      sentence.dataset.said = said;
      const prefix = `${market.symbol}: `;
      const alarmed = market.state === "critical" || market.state === "warning";
      sentence.replaceChildren(
        ...(alarmed
          ? [h("strong", {}, foreign(market.symbol)), " ", foreign(market.sentence.startsWith(prefix) ? market.sentence.slice(prefix.length) : market.sentence)]
          : [foreign(market.sentence)]),
      );
    }
    const now = verdict.querySelector(".now");
    now.setAttribute("aria-live", "off");
    setText(now, market.since_ms === null ? "" : standing(rowOf(market.symbol)));
    const open = overview.incidents.filter((i) => i.ends_ms === null && i.severity !== "info").length;
    const others = open > 1 ? `; ${open - 1} more ${open > 2 ? "incidents are" : "incident is"} open, see below` : "";
    const times = verdict.querySelector(".since");
    times.setAttribute("aria-live", "off");
    setText(times, market.since_ms === null ? "" : since(market.since_ms) + others);
    if (overview.market_ms) {
      setText($("market-time"), `market time ${date(overview.market_ms)} ${clock(overview.market_ms)} UTC`);
    }
    document.title = `${GLYPHS[market.state]} ${WORDS[market.state]}${market.symbol ? ` ${printable(market.symbol)}` : ""} – Foreshock`;
  }

  function showService() {
    const { service, checks } = overview;
    const box = $("service");
    box.dataset.level = service.level;
    const word = { ok: "is healthy: ", notice: "works, but: ", problem: "needs attention: " }[service.level];
    const healthy = service.level === "ok"
      ? `${overview.watched} ${overview.watched === 1 ? "symbol" : "symbols"} watched in ${overview.partitions} ${overview.partitions === 1 ? "partition" : "partitions"}, ${amount(overview.events_per_second)} events/s`
      : service.words;
    setText(box.querySelector("summary .words"), word + healthy);
    $("checks").replaceChildren(
      ...checks.map((check) => h(
        "li", { "data-level": check.level },
        h("span", { class: "glyph", "aria-hidden": "true" }),
        h("span", { class: "name" }, check.name),
        h("span", {}, printable(check.words)),
      )),
    );
    setText($("version"), `version ${overview.version}, ${amount(overview.read)} records read since its start`);
  }

  const rows = new Map(); // the table's rows, by symbol: what has the focus is not made anew

  function newRow(symbol) {
    const pick = h("button", { class: "pick", type: "button", title: printable(symbol) }, foreign(symbol));
    const cells = {
      symbol: h("td", {}, pick, h("span")),
      stress: h("td"),
      spark: h("td", { class: "spark" }),
      price: h("td", { class: "number" }),
      depth: h("td", { class: "number" }),
    };
    const element = h("tr", {}, ...Object.values(cells));
    element.addEventListener("click", () => choose(symbol, true));
    return { element, cells, pick };
  }

  function showSymbols() {
    if (!overview) return;
    const body = $("symbols").tBodies[0];
    const focused = document.activeElement;
    overview.symbols.forEach((row, place) => {
      let shown = rows.get(row.symbol);
      if (!shown) rows.set(row.symbol, (shown = newRow(row.symbol)));
      const { element, cells, pick } = shown;
      const selected = row.symbol === chosen;
      element.classList.toggle("selected", selected);
      pick.setAttribute("aria-pressed", String(selected));
      cells.symbol.replaceChild(mood(row.state), cells.symbol.lastChild);
      const stress = row.state === "warming_up"
        ? h("span", { class: "warming_up" }, `${percent(row.learned_ratio)} learned`)
        : row.stress_ratio === null ? h("span", { class: "muted" }, "–")
        : h("span", { class: `gauge ${row.state}` }, meter(row.stress_ratio), row.stress_ratio.toFixed(2));
      cells.stress.replaceChildren(stress);
      cells.spark.replaceChildren(row.spark.length ? spark(row.spark) : "");
      cells.price.replaceChildren(price(row.price), h("br"), h("small", {}, percent(row.change_ratio, 2, true)));
      cells.depth.replaceChildren(percent(row.depth_ratio));
      if (body.children[place] !== element) body.insertBefore(element, body.children[place] ?? null);
    });
    while (body.children.length > overview.symbols.length) body.lastChild.remove();
    const listed = new Set(overview.symbols.map((row) => row.symbol));
    for (const symbol of rows.keys()) if (!listed.has(symbol)) rows.delete(symbol);
    if (focused !== document.activeElement && document.contains(focused)) focused.focus();
    const beyond = overview.watched - overview.symbols.length;
    setText($("more"), overview.watched === 0 ? "no symbol has been seen yet"
      : beyond > 0 ? `and ${beyond} more that are less stressed; type a name above to look at one` : "");
  }

  function causes(items, most) {
    return h("ol", { class: "causes" }, ...items.slice(0, most).map((cause) => h(
      "li", {},
      h("span", { class: "share" }, meter(cause.share), percent(cause.share)),
      h("span", {}, printable(cause.words), " ", h("span", { class: "detector" }, label(cause.detector))),
    )));
  }

  const opened = new Set(); // the incidents whose evidence somebody unfolded
  let incidentsShown = "";

  function showIncidents() {
    const list = $("incidents");
    const now = JSON.stringify(overview.incidents);
    if (now === incidentsShown) return;
    incidentsShown = now;
    const focused = list.contains(document.activeElement) ? document.activeElement.closest("li").dataset.id : null;
    list.replaceChildren(...overview.incidents.map((incident) => {
      const open = incident.ends_ms === null;
      const times = open
        ? `open since ${clock(incident.starts_ms)}`
        : `${clock(incident.starts_ms)} to ${clock(incident.ends_ms)}, ${duration(incident.ends_ms - incident.starts_ms)}`;
      const grave = incident.critical_ms === null ? "" : `, critical since ${clock(incident.critical_ms)}`;
      const more = h("details", {}, h("summary", {}, "evidence"), causes(incident.causes),
        h("p", { class: "muted" }, `score ${incident.score.toFixed(1)}, p ${incident.p_value.toExponential(1)}`),
        h("p", { class: "muted" }, ...whatToDo(incident.runbook)),
        incident.ended === null ? null : h("p", { class: "muted" }, printable(incident.ended)));
      more.open = opened.has(incident.alert_id);
      more.addEventListener("toggle", () => {
        if (more.open) opened.add(incident.alert_id); else opened.delete(incident.alert_id);
      });
      return h(
        "li", { class: open ? `open ${incident.severity}` : "resolved", "data-id": incident.alert_id },
        h("p", { class: "head" },
          h("span", { class: open ? incident.severity : "resolved" }, `${open ? GLYPHS[incident.severity] : "✓"} ${open ? WORDS[incident.severity] : `${WORDS[incident.severity]}, resolved`} `),
          foreign(incident.symbol), ` · ${label(incident.detector)}`),
        h("p", {}, printable(incident.summary)),
        h("p", { class: "times" }, times + (open ? grave : "")),
        more,
      );
    }));
    if (!overview.incidents.length) list.replaceChildren(h("li", { class: "muted" }, "none since this process started"));
    if (focused) list.querySelector(`[data-id="${CSS.escape(focused)}"] summary`)?.focus();
  }

  // ------------------------------------------------------------------ one symbol

  function showDetail() {
    if (!detail || !overview) return;
    const row = rowOf(chosen);
    const title = $("detail-title");
    title.replaceChildren(foreign(chosen));
    if (row) {
      title.append(
        h("span", { class: `now ${row.state}` }, `${GLYPHS[row.state]} ${WORDS[row.state]}`),
        h("span", { class: "now" }, price(row.price), " ", h("small", {}, `${percent(row.change_ratio, 2, true)} in 5 min`)),
      );
    }
    setText($("detail-note"), note(row));
    $("detail-note").hidden = !note(row);
    showWhy();
    const any = detail.bars.ts_ms.length > 1;
    $("plots").hidden = !any;
    $("inside").hidden = !detail.known;
    if (any) drawPlots();
    if (detail.known) {
      showDetectors();
      showBook();
    }
  }

  function note(row) {
    if (!detail.known) return "This process does not watch this symbol: another of its group does, or nobody has traded it yet.";
    if (!detail.kept) return "Its bars are not kept: more symbols are watched than the console remembers, and others are more stressed. It gets its place once it is stressed itself.";
    if (row?.state === "warming_up") return `Warming up, ${percent(row.learned_ratio)} done: nothing is judged before it is known what is usual for this symbol.`;
    if (row?.mistrusted.length) return `What comes in is not to be trusted: ${row.mistrusted.map(printable).join("; ")}.`;
    if (row?.state === "quiet") return "No event for more than a minute: what is shown is as it was then.";
    return "";
  }

  const mine = () => overview.incidents.filter((incident) => incident.symbol === chosen);

  function showWhy() {
    const open = mine().filter((incident) => incident.ends_ms === null && incident.severity !== "info");
    const why = $("why");
    const incident = open[0];
    why.hidden = !incident;
    if (!incident) return;
    why.className = incident.severity;
    const row = rowOf(chosen);
    const its = row?.incident;
    why.replaceChildren(...[
      h("h3", {}, h("span", { class: incident.severity }, `${GLYPHS[incident.severity]} ${WORDS[incident.severity]} `), printable(incident.summary)),
      h("p", { class: "muted" }, since(incident.starts_ms)
        + (incident.critical_ms === null ? "" : `; critical since ${clock(incident.critical_ms)}`)
        + (its?.killswitch_tripped ? "; the kill switch is tripped" : "")),
      ...(its ? present(row) : []),
      h("p", {}, h("strong", {}, "Raised because"), h("span", { class: "muted" }, " with its share of the score")),
      causes(incident.causes),
      h("p", { class: "muted" }, ...whatToDo(incident.runbook)),
    ]);
  }

  function present(row) {
    const { now } = row.incident;
    if (!now.length) return [h("p", {}, standing(row))];
    const items = now.map(([detector, said]) => h("li", {}, h("span", { class: "detector" }, label(detector)), h("span", {}, printable(said))));
    return [h("p", {}, h("strong", {}, "Now")), h("ol", { class: "causes" }, ...items)];
  }

  function whatToDo(runbook) {
    const linked = /^https?:\/\//.test(runbook);
    return ["What to do: ", linked ? h("a", { href: runbook, rel: "noreferrer" }, printable(runbook)) : printable(runbook)];
  }

  let drawing = false;

  async function drawPlots() {
    if (document.hidden || drawing || typeof Plotly === "undefined") return;
    drawing = true;
    try {
      await Plots.draw($("plots"), detail.bars, { symbol: chosen, incidents: mine() });
      const last = detail.bars.ts_ms.length - 1;
      $("plots").setAttribute("aria-label",
        `price, depth, activity, leverage, stress and scores from ${clock(detail.bars.ts_ms[0])} to ${clock(detail.bars.ts_ms[last])} UTC; the latest values are in the lists below`);
      $("plots").dataset.drawn = chosen;
    } finally {
      drawing = false;
    }
  }

  function showDetectors() {
    const status = (d) => d.status === "no_input" ? "no input" : d.status === "warming_up" ? "warming up"
      : d.suppressed !== null ? `suppressed: ${d.suppressed}` : d.alarm ? "▲ alarm"
      : d.alarms ? `stress ${(d.stress_ratio ?? 0).toFixed(2)}, score ${(d.score ?? 0).toFixed(1)}` : "watched for lasting change only";
    $("detectors").replaceChildren(...detail.detectors.map((d) => h(
      "div", { class: "reading" },
      h("p", { class: "head" }, h("b", {}, label(d.name)), h("span", { class: d.alarm ? "warning" : "muted" }, printable(status(d)))),
      h("ul", {}, ...d.features.slice(0, 3).map((f) => h(
        "li", { class: f.deviation >= 3 ? "out" : null },
        h("span", { class: "z" }, `${f.deviation >= 0 ? "+" : ""}${f.deviation.toFixed(1)} σ`),
        h("span", {}, printable(f.words)),
      ))),
    )));
  }

  function showBook() {
    const book = detail.book;
    const most = Math.max(1e-9, ...book.bands.flatMap((band) => [band.bid, band.ask]));
    const side = (value, kind) => {
      const its = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
      const width = (100 * value) / most;
      its.append(svg("rect", { class: kind, x: kind === "bid" ? 100 - width : 0, width, height: 10 }));
      return its;
    };
    const bands = h("table", { class: "book" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "number" }, "bids"), h("th", { scope: "col" }), h("th", { scope: "col" }, "within"), h("th", { scope: "col" }), h("th", { scope: "col" }, "asks"))),
      h("tbody", {}, ...book.bands.map((band) => h("tr", {},
        h("td", { class: "number" }, amount(band.bid)), h("td", {}, side(band.bid, "bid")),
        h("td", {}, `${band.bps} bps`),
        h("td", {}, side(band.ask, "ask")), h("td", {}, amount(band.ask))))));
    const ladder = h("table", { class: "book" },
      h("thead", {}, h("tr", {}, ...["quantity", "bid", "ask", "quantity"].map((word, i) => h("th", { scope: "col", class: i < 2 ? "number" : null }, word)))),
      h("tbody", {}, ...Array.from({ length: Math.max(book.bids.length, book.asks.length) }, (_, i) => {
        const [bid, ask] = [book.bids[i], book.asks[i]];
        return h("tr", {},
          h("td", { class: "number" }, bid ? amount(bid.quantity) : ""), h("td", { class: "number bid" }, bid ? price(bid.price) : ""),
          h("td", { class: "ask" }, ask ? price(ask.price) : ""), h("td", {}, ask ? amount(ask.quantity) : ""));
      })));
    $("book").replaceChildren(
      h("p", { class: "muted" }, book.mid === null ? "A side of the book is empty."
        : `mid ${price(book.mid)}, spread ${book.spread_bps.toFixed(1)} bps, ${amount(book.orders)} orders; usual within 25 bps, both sides: ${amount(book.usual_depth)}`),
      bands, ladder,
    );
  }

  // ------------------------------------------------------------------ begin

  $("look").addEventListener("change", (event) => {
    const symbol = event.target.value.trim();
    if (symbol) choose(symbol, true);
    event.target.value = "";
  });
  $("plotly").addEventListener("load", showDetail);
  document.addEventListener("visibilitychange", showDetail);
  const linked = decodeURIComponent(location.hash.slice(1));
  if (linked) {
    chosen = linked;
    byHand = true;
  }
  connect();
  setInterval(pulse, 500);
})();
