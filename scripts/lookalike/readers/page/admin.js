// The admin's page: enrolment, live progress, invitations, download.

const get = (id) => document.getElementById(id);
const EVERY = 3000;
const TOKEN = "lookalike:admin";

const fragment = new URLSearchParams(location.hash.slice(1));
if (fragment.get("token")) sessionStorage.setItem(TOKEN, fragment.get("token"));
history.replaceState(null, "", location.pathname);

async function call(method, path) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(TOKEN)}`, "Content-Type": "application/json" };
  const response = await fetch(`/api/admin/${path}`, { method, headers, cache: "no-store", body: method === "POST" ? "{}" : null }).catch(() => null);
  if (!response) throw new Error("The study's computer cannot be reached.");
  if (!response.ok) throw new Error(await response.json().then((body) => body.error, () => `The study's computer answered ${response.status}.`));
  return response;
}

/** Do it, and show how it stands now; what went wrong is told until something else is asked for. */
async function act(work) {
  get("message").textContent = "";
  try {
    await work();
    await refresh();
  } catch (error) {
    get("message").textContent = error.message;
  }
}

let lost = false;

/** Show how it stands now, and while that cannot be had, why. */
async function watch() {
  const sentence = await refresh().then(() => "", (error) => error.message);
  if (sentence || lost) get("message").textContent = sentence;
  lost = sentence !== "";
}

async function refresh() {
  const progress = await (await call("GET", "progress")).json();
  get("content").hidden = false;
  get("study").textContent = `${progress.study} (${progress.protocol})`;
  for (const name of ["enrolled", "finished", "answers", "sequences_left"]) get(name).textContent = progress[name];
  get("closed").hidden = progress.enrolment;
  get("open").hidden = get("enrolment").hidden = !progress.enrolment;
  get("enrolment").querySelector("input").value = progress.enrolment ? `${location.origin}/#code=${encodeURIComponent(progress.code)}` : "";
  if (!get("readers").contains(document.activeElement)) get("readers").replaceChildren(...progress.readers.flatMap(makeRows));
}

function makeRows({ reader, created, revoked, attempts }) {
  return (attempts.length ? attempts : [null]).map((attempt, i) => {
    const row = document.createElement("tr");
    row.className = revoked ? "revoked" : "";
    const cells = Array.from({ length: 6 }, () => row.insertCell());
    if (!i) {
      cells[0].textContent = reader + (revoked ? " (revoked)" : "");
      cells[1].textContent = makeTime(created);
      if (!revoked) {
        cells[5].append(
          makeButton("New link", `New link for ${reader}`, "The old link stops working. Go on?", async () => showLink(await (await call("POST", `readers/${reader}/token`)).json())),
          makeButton("Revoke", `Revoke ${reader}`, "The reader can no longer answer; given answers stay. Go on?", () => call("POST", `readers/${reader}/revoke`)),
        );
      }
    }
    if (attempt) {
      cells[2].textContent = attempt.attempt;
      const bar = Object.assign(document.createElement("progress"), { max: attempt.total, value: attempt.answered });
      bar.setAttribute("aria-hidden", "true");
      cells[3].append(bar, `${attempt.answered} of ${attempt.total}`);
      cells[4].textContent = attempt.last ? makeTime(attempt.last) : "";
    }
    return row;
  });
}

function makeButton(text, label, question, work) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  button.setAttribute("aria-label", label);
  button.onclick = () => {
    button.blur();
    if (confirm(question)) act(work);
  };
  return button;
}

function makeTime(time) {
  return new Date(time).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
}

function showLink({ reader, token }) {
  get("invited-reader").textContent = reader;
  get("invitation").querySelector("input").value = `${location.origin}/#token=${token}`;
  get("invited-text").hidden = get("invitation").hidden = false;
}

for (const link of document.querySelectorAll(".link")) {
  link.querySelector("button").onclick = () => {
    link.querySelector("input").select();
    // navigator.clipboard does not exist on a plain-HTTP address of a local network
    document.execCommand("copy");
  };
}

get("invite").onclick = () => act(async () => showLink(await (await call("POST", "readers")).json()));
get("export").onclick = () =>
  act(async () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await (await call("GET", "export.csv")).blob());
    link.download = "answers.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });

watch();
setInterval(() => document.visibilityState === "visible" && watch(), EVERY);
