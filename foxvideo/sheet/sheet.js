"use strict";
const videos = document.getElementById("videos");
const cards = [...videos.children];
const controls = document.querySelector(".controls");
const field = (name) => document.getElementById(name);
const large = field("large");
const texts = new Map(cards.map((card) => [card, card.textContent.toLowerCase()]));
const status = () => controls.querySelector("input[name=status]:checked").value;

// --- Which cards are shown, and in what order ---

function filter() {
  const words = field("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const model = field("model")?.value ?? "";
  const wanted = status();
  let shown = 0;
  for (const card of cards) {
    const fits = (!wanted || card.dataset.status === wanted)
      && (!model || card.dataset.model === model)
      && words.every((word) => texts.get(card).includes(word));
    card.hidden = !fits;
    shown += fits;
  }
  field("shown").textContent = shown === cards.length ? "" : `${shown} of ${cards.length}`;
  field("nothing").hidden = shown > 0;
}

function sort() {
  const by = field("sort").value;
  const rising = by === "row";
  const sorted = [...cards].sort((one, other) => {
    const difference = Number(one.dataset[by]) - Number(other.dataset[by]);
    return (rising ? difference : -difference) || Number(one.dataset.row) - Number(other.dataset.row);
  });
  videos.replaceChildren(...sorted);
}

controls.hidden = false;
controls.addEventListener("submit", (event) => event.preventDefault());
controls.addEventListener("input", filter);
field("sort").addEventListener("change", sort);
// A browser keeps what was typed when a page is loaded again.
filter();
if (field("sort").value !== "row") sort();

// --- Videos ---

// Browsers hold some 75 players on a page at most, so only videos near the window have one.
const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const video = target.querySelector("video");
    if (isIntersecting) load(video);
    else unload(video);
  }
}, { rootMargin: "300px" });

function load(video) {
  if (video.hasAttribute("src")) return;
  video.preload = "metadata";
  video.src = `${video.dataset.src}#t=0.1`; // paints the first picture everywhere
}

function unload(video) {
  if (!video.hasAttribute("src")) return;
  video.removeAttribute("src");
  video.load();
}

function play(video) {
  if (video.dataset.src) load(video); // the observer may be late
  video.play().catch(() => {}); // a pause before it begins is no error
}

const still = matchMedia("(prefers-reduced-motion: reduce)"); // then nothing moves that was not clicked
const seen = () => [...videos.querySelectorAll(".card:not([hidden]) button.video")];
let enlarged = null; // the button whose video is large

function enlarge(button) {
  enlarged = button;
  const [video, all] = [large.querySelector("video"), seen()];
  video.src = button.querySelector("video").dataset.src;
  large.querySelector(".prompt").textContent = button.closest(".card").querySelector(".prompt").textContent;
  field("previous").disabled = button === all[0];
  field("next").disabled = button === all.at(-1);
  if (!large.open) large.showModal();
  play(video);
}

function step(by) {
  const [all, place] = [seen(), seen().indexOf(enlarged)];
  if (all[place + by]) enlarge(all[place + by]);
}

field("previous").addEventListener("click", () => step(-1));
field("next").addEventListener("click", () => step(1));

for (const button of videos.querySelectorAll("button.video")) {
  const video = button.querySelector("video");
  near.observe(button);
  for (const begins of ["pointerenter", "focus"]) button.addEventListener(begins, () => still.matches || play(video));
  for (const ends of ["pointerleave", "blur"]) button.addEventListener(ends, () => video.pause());
  button.addEventListener("click", () => {
    video.pause();
    enlarge(button);
  });
}

large.addEventListener("close", () => {
  unload(large.querySelector("video"));
  enlarged?.focus();
});
large.addEventListener("click", (event) => {
  if (event.target === large) large.close();
});

// --- Keys ---

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (large.open) {
    if (by && !event.target.matches("video")) step(by); // a player moves within its video by the same keys
  } else if (event.key === "/" && !typing) {
    event.preventDefault();
    field("search").focus();
  } else if (by && !typing) {
    const [all, place] = [seen(), seen().indexOf(document.activeElement)];
    const next = place < 0 ? all[0] : all[place + by];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  }
});
