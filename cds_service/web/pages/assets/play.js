// Plays anew when something of the form changes, and puts what came of it in its place.
// A document that XMLHttpRequest reads runs no script, and no text becomes HTML here.

const form = document.getElementById("play");
let asked = 0;

function fetchPage(data) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.responseType = "document";
    request.onload = () => {
      const page = request.response?.getElementById("play");
      page && request.status < 300 ? resolve(page) : reject(request.status);
    };
    request.onerror = () => reject(0);
    request.send(data);
  });
}

function replace(page, part) {
  const before = form.querySelector(part);
  const after = page.querySelector(part);
  if (before && after) before.replaceWith(document.adoptNode(after));
}

async function play(button) {
  const turn = ++asked;
  const focused = document.activeElement?.id;
  const data = new FormData(form, button ?? null);
  document.getElementById("came").setAttribute("aria-busy", "true");
  try {
    const page = await fetchPage(data);
    if (turn !== asked) return;
    replace(page, ".asked");
    replace(page, ".came");
    const again = focused && document.getElementById(focused);
    if (again) again.focus();
    else if (button) document.getElementById("came").querySelector("#told-back, #sum")?.scrollIntoView();
  } catch {
    if (turn === asked) form.requestSubmit();
  }
}

form?.addEventListener("change", (event) => {
  const name = event.target.name ?? "";
  const later = name.startsWith("reason:") || name.startsWith("comment:");
  const typed = event.target.matches("input:not([type=file])");
  if (!later && !typed) play();
});

form?.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || button.hasAttribute("formaction") || button.name !== "do") return;
  event.preventDefault();
  play(button);
});

// What was chosen before this script was there counts as well.
function isChanged(choice) {
  const given = [...choice.options].findIndex((option) => option.defaultSelected);
  return choice.selectedIndex !== Math.max(given, 0);
}

if ([...(form?.querySelectorAll("select") ?? [])].some(isChanged)) play();

// What a link leads to is opened, however it is folded.
function unfold() {
  const id = location.hash.slice(1);
  const target = id && document.getElementById(id);
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

addEventListener("hashchange", unfold);
unfold();
