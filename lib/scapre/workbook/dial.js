// The explorer without a kernel: a row of a sheet of pictures for each choice, and the judge's words below them.
const told = JSON.parse(document.getElementById("dial-data").textContent);
const choice = Object.fromEntries(["list", "method", "strength"].map((name) => [name, document.getElementById(`dial-${name}`)]));
const shares = { true: "targets still recognised", false: "others kept" };

const rowOf = (method, strength) => strength === 0 ? 0 : 1 + method * (told.strengths.length - 1) + strength - 1;

const sprite = (list, sheet, column, row) => {
  const { concept, style, erased } = list.pictures[column];
  const [seen, sure] = list.rows[row][column];
  const right = seen === concept;
  const wanted = row === 0 || !erased ? right : !right;
  const figure = document.createElement("figure");
  const picture = document.createElement("div");
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", `asked for: ${concept} in ${style} style; the judge sees: ${seen}`);
  picture.style.backgroundImage = `url(dial/${sheet}.webp)`;
  picture.style.backgroundSize = `${100 * list.pictures.length}% ${100 * list.rows.length}%`;
  picture.style.backgroundPosition =
    `${(100 * column) / (list.pictures.length - 1)}% ${(100 * row) / (list.rows.length - 1)}%`;
  const caption = document.createElement("figcaption");
  const verdict = Object.assign(document.createElement("b"), {
    className: wanted ? "wanted" : "unwanted", textContent: `${wanted ? "" : "✗ "}${seen} ${sure}\u00a0%`,
  });
  caption.append(concept, verdict);
  figure.append(picture, caption);
  return figure;
};

const show = () => {
  const sheet = Number(choice.list.value);
  const list = told.lists[sheet];
  const strength = Number(choice.strength.value);
  const row = rowOf(choice.method.selectedIndex, strength);
  const percent = `${Math.round(100 * told.strengths[strength])} %`;
  document.getElementById("dial-shown").textContent = percent;
  choice.strength.setAttribute("aria-valuetext", percent);
  const counts = [true, false].map((side) => {
    const columns = list.pictures.map((_, column) => column).filter((column) => list.pictures[column].erased === side);
    document.getElementById(side ? "dial-targets" : "dial-kept")
      .replaceChildren(...columns.map((column) => sprite(list, sheet, column, row)));
    const right = columns.filter((column) => list.rows[row][column][0] === list.pictures[column].concept).length;
    return `${shares[side]}: ${right} of ${columns.length}`;
  });
  document.getElementById("dial-said").textContent = counts.join(" · ");
  const shown = new Set(list.pictures.filter((picture) => picture.erased).map((picture) => picture.concept)).size;
  document.getElementById("dial-erased").textContent =
    `To be forgotten${shown < list.erased ? `: ${shown} of ${list.erased} concepts` : ""}`;
};

document.getElementById("dial").addEventListener("input", show);
document.getElementById("dial").addEventListener("submit", (event) => event.preventDefault());
show();
