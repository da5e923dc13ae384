"use strict";
(() => {
  const SHOWN = 50;  // rows of the leaderboard before all are asked for

  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  // --- the leaderboard: sort, filter, hide columns

  const number = text => {
    const match = text.replace("<", "").match(/^\s*[-+]?[\d.]+(e[-+]?\d+)?/i);
    return match && text.trim() !== "-" ? parseFloat(match[0]) : NaN;
  };

  const compare = (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (Number.isNaN(x) && Number.isNaN(y)) return a.localeCompare(b);
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return x - y;
  };

  const makeBoard = board => {
    const table = board.querySelector("table");
    if (!table) return;
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const headings = [...table.tHead.rows[0].cells];
    const status = element("span", { role: "status" });
    let showsAll = rows.length <= SHOWN;
    const filter = element("input", { type: "search", id: "board-filter", size: 18 });

    const update = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let n = 0, hits = 0;
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        const hit = words.every(word => text.includes(word));
        hits += hit;
        row.hidden = !hit || (!showsAll && n >= SHOWN);
        n += !row.hidden;
      }
      status.textContent = `${n} of ${hits === rows.length ? rows.length : `${hits} found`} row${hits === 1 ? "" : "s"}`;
      more.hidden = showsAll || n === hits;
    };
    const more = element("button", { type: "button", textContent: `Show all ${rows.length}` });
    more.addEventListener("click", () => { showsAll = true; update(); });
    filter.addEventListener("input", update);

    headings.forEach((heading, index) => {
      const button = element("button", { type: "button", textContent: heading.textContent });
      heading.replaceChildren(button);
      button.addEventListener("click", () => {
        const goesDown = heading.getAttribute("aria-sort") === "ascending";
        headings.forEach(other => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", goesDown ? "descending" : "ascending");
        const sign = goesDown ? -1 : 1;
        const cell = row => row.cells[index].textContent;
        const absent = row => cell(row).trim() === "-";
        rows.sort((a, b) => absent(a) - absent(b) || sign * compare(cell(a), cell(b)));
        body.append(...rows);
        update();
      });
    });

    const columns = element("fieldset", {}, element("legend", { textContent: "Columns" }));
    headings.forEach((heading, index) => {
      const box = element("input", { type: "checkbox", checked: true });
      box.addEventListener("change", () => {
        for (const row of [table.tHead.rows[0], ...rows]) row.cells[index].hidden = !box.checked;
      });
      columns.append(element("label", {}, box, " " + heading.textContent));
    });
    const controls = element("div", { className: "controls" },
      element("span", {}, element("label", { htmlFor: "board-filter", textContent: "Filter " }), filter),
      element("details", {}, element("summary", { textContent: "Columns" }), columns), status, more);
    board.prepend(controls);
    const wide = board.querySelector(".wide");
    wide.tabIndex = 0;
    wide.setAttribute("role", "region");
    wide.setAttribute("aria-label", "Rows of the leaderboard");
    update();
  };

  // --- the figures

  const unpack = async packed => {
    if (!("DecompressionStream" in window)) throw new Error("this browser is too old to unpack their script");
    const bytes = Uint8Array.from(atob(packed), c => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };

  const loadPlotly = async () => {
    const script = element("script", { textContent: await unpack(document.getElementById("plotly").textContent) });
    document.head.append(script);  // an inline script, which is allowed wherever this one is
    if (!window.Plotly) throw new Error("the page is shown where scripts are restricted");
  };

  const layout = plot => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 13 },
    margin: { t: 40, r: 20, b: 50, l: 60 }, ...plot.layout, height: plot.height, autosize: true,
  });

  const draw = (figure, plot) => {
    const canvas = figure.querySelector(".canvas");
    canvas.querySelector(".pending")?.remove();
    return Plotly.react(canvas, plot.data, layout(plot), { displayModeBar: false, responsive: true });
  };

  const drawAll = async () => {
    const plots = JSON.parse(document.getElementById("figures").textContent);
    const figures = [...document.querySelectorAll("figure.plot")];
    if (!figures.length) return;
    try {
      await loadPlotly();
    } catch (error) {
      for (const text of document.querySelectorAll(".pending")) text.textContent += ` It cannot be drawn here: ${error.message}.`;
      return;
    }
    for (const menu of document.querySelectorAll(".choose select")) {
      const figure = menu.closest("section").querySelector("figure.plot");
      menu.addEventListener("change", () => {
        figure.querySelector(".canvas").setAttribute("aria-label", menu.selectedOptions[0].title);
        draw(figure, plots[menu.value]);
      });
    }
    for (const figure of figures) {
      await draw(figure, plots[figure.dataset.figure]);
      await new Promise(resolve => setTimeout(resolve));  // the page stays usable meanwhile
    }
    const fit = width => {
      for (const canvas of document.querySelectorAll(".js-plotly-plot"))
        Plotly.relayout(canvas, width ? { width, autosize: false } : { width: null, autosize: true });
    };
    window.addEventListener("beforeprint", () => fit(680));
    window.addEventListener("afterprint", () => fit(null));
    document.body.dataset.drawn = "all";
  };

  document.querySelectorAll(".board").forEach(makeBoard);
  drawAll();
})();
