// Search over all pages, a list of pages that folds on a phone, figures that enlarge on click, light and dark.
const up = document.documentElement.dataset.up;
const field = document.getElementById("search");
const found = document.getElementById("found");

const ask = () => {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  found.replaceChildren();
  if (!words.length) return;
  const hits = window.PAGES.map((page) => ({ page, text: `${page.title} ${page.text}` }))
    .filter(({ text }) => words.every((word) => text.toLowerCase().includes(word)))
    .sort((a, b) => b.page.title.toLowerCase().includes(words[0]) - a.page.title.toLowerCase().includes(words[0]));
  for (const { page, text } of hits.slice(0, 8)) {
    const link = document.createElement("a");
    const at = text.toLowerCase().indexOf(words[0]);
    link.href = up + page.path;
    link.textContent = page.title;
    link.append(Object.assign(document.createElement("small"), { textContent: `…${text.slice(Math.max(0, at - 40), at + 60)}…` }));
    found.append(link);
  }
  if (!hits.length) found.textContent = "nothing found";
};

field.addEventListener("input", () => {
  if (window.PAGES) return ask();
  const script = Object.assign(document.createElement("script"), { src: `${up}search.js`, onload: ask });
  document.head.append(script);
});

const narrow = matchMedia("(max-width: 60rem)"); // as in site.css: there the list of pages opens on a tap
const fold = () => { document.getElementById("pages").open = !narrow.matches; };
narrow.addEventListener("change", fold);
fold();

const large = document.getElementById("large");
document.querySelectorAll("main img").forEach((image) => {
  image.addEventListener("click", () => {
    large.replaceChildren(Object.assign(document.createElement("img"), { src: image.src, alt: image.alt }));
    large.showModal();
  });
});
large.addEventListener("click", () => large.close());

document.getElementById("light").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
});
