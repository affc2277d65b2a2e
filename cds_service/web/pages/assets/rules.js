// Looks every second whether the rules, what is wrong with them, or a run has changed,
// and shows the page anew. Without it, "Refresh" does.

const script = document.currentScript;
const seen = JSON.parse(script.dataset.seen);
const EVERY = 1000;

const look = async () => {
  if (document.hidden) return;
  const answer = await fetch(script.dataset.state, { cache: "no-store" });
  if (!answer.ok || answer.redirected) return;
  const now = await answer.json();
  const elapsed = document.getElementById("elapsed");
  if (elapsed && now.seconds) elapsed.textContent = now.seconds;
  if (["served", "refused", "run"].every((name) => now[name] === seen[name])) return;
  const url = new URL(location.href);
  // Whatever it is that has changed: new rules may be served before the page is there.
  const isNews = now.served !== seen.served || !url.searchParams.has("since");
  if (script.dataset.list !== undefined && isNews) {
    url.searchParams.set("since", seen.served);
  }
  clearInterval(timer);
  url.hash = "";
  location.replace(url);
};

const timer = setInterval(() => look().catch(() => {}), EVERY);
