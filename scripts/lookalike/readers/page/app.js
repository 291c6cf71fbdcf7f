// The page of a reader study: one flow (about you, tutorial, warm-up, questions, thanks) over one of two stores, the server or this browser.

import { Viewer } from "./viewer.js";

const get = (id) => document.getElementById(id);
const SECTIONS = ["welcome", "groups", "tutorial", "reading", "done"];
const ASK = {
  pair2afc: "Which image is real?",
  single: "Real or synthetic?",
  "warmup+single": "Real or synthetic?",
  artefacts: "An obvious artefact?",
};
const CHOICES = {
  pair2afc: [["left", "Left"], ["right", "Right"]],
  single: [["real", "Real"], ["synthetic", "Synthetic"]],
  "warmup+single": [["real", "Real"], ["synthetic", "Synthetic"]],
  artefacts: [["no", "No"], ["yes", "Yes"]],
};

const NEXT = "Does another reader begin now? The page will not come back to your place on this device.";
const ELSEWHERE = "This has been answered in another window.";
const DOUBLE_CLICK = 500; // milliseconds in which a second click is no answer to the next image

/** What the study's computer says to a request that it refuses. */
class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
    this.passing = status === 429 || status >= 500;
  }
}

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new Refused(503, "The study's computer cannot be reached.");
  }
  if (response.ok) return response;
  const sentence = await response.json().then((body) => body.error, () => null);
  throw new Refused(response.status, sentence || `The study's computer answered ${response.status}.`);
}

/** Answers go to the server that the page came from; a session is what it says. */
class Server {
  constructor(study, fragment) {
    this.key = `lookalike:${study.digest}`;
    this.codeKey = `${this.key}:code`;
    const [token, other] = [fragment.get("token"), localStorage.getItem(this.key)];
    if (token && (!other || other === token || confirm("Another reader has begun on this device, whose place will be forgotten. Do you begin now with your own link?"))) {
      localStorage.setItem(this.key, token);
      localStorage.removeItem(this.codeKey);
    }
    this.code = fragment.get("code") ?? localStorage.getItem(this.codeKey) ?? "";
  }

  /** Whether another reader may begin here: an invitation is for one only. */
  get open() {
    return localStorage.getItem(this.codeKey) !== null;
  }

  async call(method, path, body) {
    const headers = { Authorization: `Bearer ${localStorage.getItem(this.key)}`, "Content-Type": "application/json" };
    return (await request(`api/${path}`, { method, headers, body: body && JSON.stringify(body) })).json();
  }

  async enrol(code) {
    localStorage.setItem(this.key, (await this.call("POST", "enrol", { code })).token);
    localStorage.setItem(this.codeKey, code);
    return this.session();
  }

  /** Where the reader stands, or null if nobody has enrolled here. */
  async session() {
    return localStorage.getItem(this.key) === null ? null : this.call("GET", "session");
  }

  groups(groups) {
    return this.call("POST", "groups", { groups });
  }

  tutorial() {
    return this.call("POST", "tutorial", {});
  }

  answer(session, answer) {
    return this.call("POST", "answers", { attempt: session.attempt, question: session.question, ...answer });
  }

  again() {
    return this.call("POST", "attempts", {});
  }

  async image(id) {
    const headers = { Authorization: `Bearer ${localStorage.getItem(this.key)}` };
    return (await request(`api/images/${id}`, { headers })).arrayBuffer();
  }

  forget() {
    localStorage.removeItem(this.key);
  }

  /** Let another reader begin, whether this one is done or not. */
  async leave() {
    this.forget();
  }
}

/** Answers stay in this browser, a record a reader, and are downloaded. */
class Browser {
  constructor(study, fragment) {
    this.study = study;
    this.wanted = Number(fragment.get("sequence"));
    this.sequences = new Map();
    this.code = null;
    this.open = true;
  }

  /** Run `work(records)` in one transaction that is on disk when this returns. */
  async transact(mode, work) {
    this.database ??= await new Promise((resolve, reject) => {
      const opening = indexedDB.open(`lookalike-${this.study.digest}`, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("readers", { autoIncrement: true });
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(new Refused(507, `This browser cannot keep answers: ${opening.error.message}`));
    });
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction("readers", mode, { durability: "strict" });
      const failed = () => reject(transaction.refusal ?? new Refused(507, `This browser could not keep the answer: ${transaction.error?.message ?? "it gave no reason"}`));
      transaction.oncomplete = () => resolve(transaction.outcome);
      transaction.onabort = failed;
      transaction.onerror = failed;
      work(transaction);
    });
  }

  /** Change the record of the newest reader by `change(record)`, which may throw. */
  async change(change) {
    const record = await this.transact("readwrite", (transaction) => {
      transaction.objectStore("readers").openCursor(null, "prev").onsuccess = ({ target: { result: cursor } }) => {
        try {
          change(cursor.value);
        } catch (error) {
          transaction.refusal = error;
          transaction.abort();
          return;
        }
        transaction.outcome = cursor.value;
        cursor.update(cursor.value);
      };
    });
    return this.stand(record);
  }

  record() {
    return this.transact("readonly", (transaction) => {
      transaction.objectStore("readers").openCursor(null, "prev").onsuccess = ({ target: { result: cursor } }) => (transaction.outcome = cursor?.value ?? null);
    });
  }

  async enrol() {
    const reader = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const { study, digest } = this.study;
    const groups = this.study.groups.length ? null : {};
    const record = { format: 1, study, digest, reader, groups, tutorial: false, attempts: [{ attempt: 1, sequence: this.draw([]), answers: [] }] };
    await this.transact("readwrite", (transaction) => transaction.objectStore("readers").add(record));
    return this.stand(record);
  }

  /** A sequence by chance that is not among those seen. */
  draw(seen) {
    const number = this.study.sequences;
    if (!seen.length && Number.isInteger(this.wanted) && this.wanted >= 1 && this.wanted <= number) return this.wanted;
    const rest = Array.from({ length: number }, (_, i) => i + 1).filter((sequence) => !seen.includes(sequence));
    return rest[crypto.getRandomValues(new Uint32Array(1))[0] % rest.length];
  }

  async session() {
    const record = await this.record();
    return record && this.stand(record);
  }

  /** The session that a record amounts to. */
  async stand(record) {
    const { attempt, sequence, answers } = record.attempts.at(-1);
    if (!this.sequences.has(sequence)) {
      this.sequences.set(sequence, (await (await request(`sequences/${String(sequence).padStart(4, "0")}.json`)).json()).questions);
    }
    const questions = this.sequences.get(sequence);
    const answered = answers.length;
    const stage =
      record.groups === null ? "groups" : !record.tutorial ? "tutorial" : answered < this.study.warmup ? "warmup" : answered < questions.length ? "questions" : "done";
    const now = questions[answered];
    return {
      reader: record.reader, attempt, attempts: Math.min(this.study.attempts, this.study.sequences), sequence, stage, answered, total: questions.length,
      question: now ? answered + 1 : null, images: now?.images ?? [], truth: now?.truth ?? null, next: questions[answered + 1]?.images ?? [],
    };
  }

  groups(groups) {
    return this.change((record) => {
      if (record.groups !== null) throw new Refused(409, ELSEWHERE);
      record.groups = groups;
    });
  }

  tutorial() {
    return this.change((record) => (record.tutorial = true));
  }

  answer(session, answer) {
    return this.change((record) => {
      const { attempt, answers } = record.attempts.at(-1);
      if (record.reader !== session.reader || attempt !== session.attempt || answers.length !== session.question - 1) {
        throw new Refused(409, ELSEWHERE);
      }
      answers.push({ question: session.question, images: session.images, ...answer });
    });
  }

  again(session) {
    return this.change((record) => {
      const seen = record.attempts.map(({ sequence }) => sequence);
      if (record.attempts.at(-1).answers.length < session.total || seen.length >= session.attempts) throw new Refused(409, ELSEWHERE);
      record.attempts.push({ attempt: seen.length + 1, sequence: this.draw(seen), answers: [] });
    });
  }

  async image(id) {
    return (await request(`images/${id}.bin`, { cache: "default" })).arrayBuffer();
  }

  forget() {}

  /** As the server's: the answers so far are downloaded first. */
  async leave() {
    await this.download();
    await this.enrol();
  }

  async download() {
    const { tutorial, ...record } = await this.record();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify({ ...record, groups: record.groups ?? {} })], { type: "application/json" }));
    link.download = `answers-${record.study}-${record.reader}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }
}

/** Time since it began, with the page in sight and not. */
class Clock {
  constructor() {
    this.spent = { visible: 0, hidden: 0 };
    this.state = document.visibilityState;
    this.since = performance.now();
    this.turn = () => this.read();
    document.addEventListener("visibilitychange", this.turn);
  }

  read() {
    const now = performance.now();
    this.spent[this.state] += now - this.since;
    [this.since, this.state] = [now, document.visibilityState];
    const [active_ms, hidden_ms] = [Math.round(this.spent.visible), Math.round(this.spent.hidden)];
    return { ms: active_ms + hidden_ms, active_ms, hidden_ms };
  }

  stop() {
    document.removeEventListener("visibilitychange", this.turn);
    return this.read();
  }
}

const happens = (target, kind) => new Promise((resolve) => target.addEventListener(kind, resolve, { once: true }));
const nextFrame = () => new Promise(requestAnimationFrame);

function show(name) {
  for (const section of SECTIONS) get(section).hidden = section !== name;
}

/** Tell what went wrong, in place of the answers, until the reader says to go on. */
async function tell(sentence, button) {
  const trouble = get("trouble");
  const bar = document.querySelector(".bar");
  trouble.querySelector("p").textContent = sentence;
  trouble.querySelector("button").textContent = button;
  trouble.hidden = false;
  bar.hidden = true;
  trouble.querySelector("button").focus();
  await happens(trouble.querySelector("button"), "click");
  trouble.hidden = true;
  bar.hidden = false;
}

/** Do `action` until it is done. A refusal that lasts leads to where the reader stands. */
async function insist(action, failure) {
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof Refused) || error.status === 401) throw error;
      const [first, ...rest] = error.message;
      const sentence = error.passing ? `${failure} yet. Keep this page open: ${first.toLowerCase()}${rest.join("")}` : `${failure}. ${error.message}`;
      await tell(sentence, error.passing ? "Try again" : "Go on");
      if (!error.passing) action = () => store.session();
    }
  }
}

function makeOptions(legend, name, values) {
  const fieldset = document.createElement("fieldset");
  fieldset.className = "options";
  const title = document.createElement("legend");
  title.textContent = legend;
  fieldset.append(title);
  for (const [value, text] of values) {
    const label = document.createElement("label");
    label.className = "option";
    const input = Object.assign(document.createElement("input"), { type: "radio", name, value, required: true });
    const span = document.createElement("span");
    span.textContent = text;
    label.append(input, span);
    fieldset.append(label);
  }
  return fieldset;
}

let study;
let store;
const viewers = [];
const loading = new Map();

function load(id) {
  if (!loading.has(id)) {
    const image = store.image(id).then((bytes) => {
      const [channels, rows, columns] = study.images.shape;
      if (bytes.byteLength !== 2 * channels * rows * columns) throw new Refused(500, "An image came incomplete.");
      return new Uint16Array(bytes);
    });
    image.catch(() => loading.delete(id));
    loading.set(id, image);
  }
  return loading.get(id);
}

/** Keep and fetch only the images of this question and the next. */
function preload(session) {
  const wanted = [...session.images, ...session.next];
  for (const id of loading.keys()) if (!wanted.includes(id)) loading.delete(id);
  return Promise.all(session.images.map(load)).finally(() => session.next.forEach(load));
}

const screens = {
  async groups() {
    show("groups");
    const form = get("groups").querySelector("form");
    const asked = study.groups.map(({ name, question }) => makeOptions(question, name, [["yes", "Yes"], ["no", "No"]]));
    get("asked").replaceChildren(...asked);
    const update = () => {
      const first = form.elements[study.groups[0].name].value;
      asked.slice(1).forEach((fieldset) => (fieldset.hidden = fieldset.disabled = first !== "yes"));
      form.querySelector("button").disabled = !form.checkValidity();
    };
    form.oninput = update;
    update();
    await happens(form, "submit");
    const groups = Object.fromEntries(study.groups.map(({ name }, i) => [name, asked[i].disabled ? null : form.elements[name].value === "yes"]));
    return insist(() => store.groups(groups), "This has not been saved");
  },

  async tutorial(session) {
    show("tutorial");
    if (!get("practice").firstChild) {
      const viewer = new Viewer("Practice");
      viewer.canvas.addEventListener("keydown", (event) => viewer.key(event) && event.preventDefault());
      get("practice").append(viewer.element);
      viewer.show(makePractice(), [1, 512, 512], [""]);
    }
    preload(session).catch(() => {});
    await happens(get("tutorial").querySelector(".begin button"), "click");
    return insist(() => store.tutorial(), "This has not been saved");
  },

  warmup: ask,
  questions: ask,

  async done(session) {
    show("done");
    const rounds = session.attempt < session.attempts;
    get("again").hidden = !rounds;
    get("download").hidden = !store.download;
    get("next-reader").hidden = !store.open;
    get("next-reader").disabled = Boolean(store.download);
    get("finished").textContent = [
      "You have answered every question.",
      store.download ? "Download your answers, and send the file to whoever invited you." : "All answers have been saved; you may close the page.",
      rounds ? "You may also make another round, with other questions." : "",
      store.download ? "Another reader can begin on this device once they are downloaded." : "",
    ].join(" ");
    get("download").onclick = async () => {
      await store.download();
      get("next-reader").disabled = false;
    };
    const again = await new Promise((resolve) => {
      get("again").onclick = () => resolve(true);
      get("next-reader").onclick = () => confirm(NEXT) && resolve(false);
    });
    if (again) return insist(() => store.again(session), "The next round has not begun");
    store.forget();
    return welcome("");
  },
};

/** One question: show, choose, confirm, save. */
async function ask(session) {
  show("reading");
  const form = document.querySelector(".bar");
  const [count, question, confirm] = [get("count"), get("question"), get("confirm")];
  const warmup = session.stage === "warmup";
  Object.assign(get("progress"), { max: session.total, value: session.answered });
  count.textContent = warmup ? `Warm-up ${session.question} of ${study.warmup}` : `Question ${session.question - study.warmup} of ${session.total - study.warmup}`;
  question.textContent = "Loading…";
  question.className = "";
  form.reset();
  confirm.disabled = true;
  confirm.textContent = warmup ? "Next" : "Confirm";
  get("options").hidden = true;
  const labels = session.images.length === 2 ? ["Left", "Right"] : ["Image"];
  while (viewers.length < session.images.length) {
    const viewer = new Viewer(labels[viewers.length]);
    viewer.onwindow = () => get("alike").ariaPressed === "true" && follow(viewer);
    viewers.push(viewer);
    get("panes").append(viewer.element);
  }
  let pixels;
  try {
    pixels = await preload(session);
  } catch (error) {
    if (error.status === 401) throw error;
    await tell(`The images did not come. ${error.message}`, "Try again");
    return insist(() => store.session(), "The study did not come");
  }
  viewers.forEach((viewer, i) => viewer.show(pixels[i], study.images.shape, study.images.channels));
  await nextFrame();
  if (!performance.getEntriesByName("first-image").length) performance.mark("first-image");
  const clock = new Clock();
  get("options").hidden = warmup;
  question.textContent = session.truth ? `This image is ${session.truth}.` : ASK[study.protocol];
  question.className = session.truth ?? "";
  const update = () => {
    const choice = form.elements.choice.value;
    viewers.forEach(({ element }, i) => element.classList.toggle("chosen", choice === ["left", "right"][i]));
    if (study.protocol === "artefacts") get("more").disabled = choice !== "yes";
    confirm.disabled = !warmup && !form.checkValidity();
  };
  form.oninput = update;
  update();
  if (warmup) {
    confirm.disabled = true;
    setTimeout(() => (confirm.disabled = false), DOUBLE_CLICK);
  }
  await happens(form, "submit");
  const times = clock.stop();
  confirm.disabled = true;
  confirm.textContent = "Saving…";
  const answer = {
    choice: warmup ? "seen" : form.elements.choice.value,
    confidence: !warmup && study.confidence ? Number(form.elements.second.value) : null,
    kind: !warmup && form.elements.choice.value === "yes" ? form.elements.second.value : null,
    ...times,
    zoom: Math.round(100 * Math.max(...viewers.map(({ largest }) => largest))) / 100,
    windowed: viewers.some(({ windowed }) => windowed),
    screen: `${screen.width}x${screen.height}@${Math.round(100 * devicePixelRatio) / 100}`,
  };
  const next = await insist(() => store.answer(session, answer), "Your answer has not been saved");
  viewers.forEach((viewer) => {
    viewer.element.classList.remove("chosen");
    viewer.clear();
  });
  return next;
}

/** Nobody has enrolled here: begin. */
async function welcome(sentence) {
  show("welcome");
  const form = get("welcome").querySelector("form");
  get("code").hidden = get("code").firstElementChild.disabled = store.code === null || (store.code !== "" && !sentence);
  form.elements.code.value = store.code ?? "";
  for (;;) {
    get("greeting").textContent = sentence || "Thank you for taking part. The page keeps your place: you may close it and go on later on this device.";
    await happens(form, "submit");
    try {
      return await store.enrol(form.elements.code.value.trim());
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      sentence = error.message;
      get("code").hidden = get("code").firstElementChild.disabled = store.code === null;
    }
  }
}

/** A gradient, discs of falling contrast and bars of falling width, uint16 512 x 512. */
function makePractice() {
  const pixels = new Uint16Array(512 * 512);
  for (let y = 0; y < 512; y++) {
    for (let x = 0; x < 512; x++) {
      let value = 8000 + 90 * x;
      for (let disc = 0; disc < 6; disc++) if (Math.hypot(x - 55 - 80 * disc, y - 150) < 28) value += 6000 / 2 ** disc;
      const width = 16 >> Math.floor(x / 103);
      if (y > 300 && y < 420 && x % 103 > 12 && x % 103 < 96 && Math.floor((x % 103) / width) % 2) value += 9000;
      pixels[512 * y + x] = value;
    }
  }
  return pixels;
}

let tabbed = false; // the reader goes about by the keyboard: what has the focus, has it on purpose

function keys(event) {
  tabbed ||= event.key === "Tab";
  if (get("reading").hidden || document.querySelector(".bar").hidden || get("help").open || event.ctrlKey || event.altKey || event.metaKey) return;
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
  if (digit) {
    const fieldset = get("options").children[event.shiftKey ? 1 : 0];
    if (!get("options").hidden && !fieldset?.disabled) fieldset?.querySelectorAll("input")[digit - 1]?.click();
  } else if (tabbed && { BUTTON: /^Enter$/, INPUT: /^Arrow/ }[event.target.tagName]?.test(event.key)) {
    return;
  } else if (event.key === "Enter") {
    if (!get("confirm").disabled && !event.repeat) document.querySelector(".bar").requestSubmit();
  } else if (event.key === "Escape") {
    document.activeElement.blur();
  } else if (event.key === "?") {
    showHelp();
  } else if (event.key === "f" || event.key === "F") {
    toggleFull();
  } else if ((event.key === "b" || event.key === "B") && !get("alike").hidden) {
    if (!event.repeat) toggleAlike();
  } else {
    const focused = viewers.filter(({ canvas }) => canvas === document.activeElement);
    // what moves the window of one moves that of both
    const one = get("alike").ariaPressed === "true" && event.key.startsWith("Arrow");
    if (!(focused.length ? focused : viewers.slice(0, one ? 1 : 2)).map((viewer) => viewer.key(event)).some(Boolean)) return;
  }
  event.preventDefault();
}

/** The other image takes over a viewer's window. */
function follow(viewer) {
  viewers.forEach((other) => other !== viewer && other.follow(viewer));
}

/** Whether both images of a pair have one window. */
function toggleAlike() {
  const alike = get("alike").ariaPressed !== "true";
  get("alike").ariaPressed = alike;
  if (alike) follow(viewers.find(({ canvas }) => canvas === document.activeElement) ?? viewers.find(({ windowed }) => windowed) ?? viewers[0]);
}

function showHelp() {
  get("leave").hidden = !store.open;
  get("help").showModal();
}

function toggleFull() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen().catch(() => {});
}

/** Write what depends on the study only. */
function furnish() {
  document.title = study.title;
  document.querySelectorAll(".title").forEach((title) => (title.textContent = study.title));
  get("simulated").textContent = study.simulated;
  get("paragraphs").replaceChildren(...study.tutorial.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
  const options = [makeOptions("", "choice", CHOICES[study.protocol])];
  options[0].classList.add("choice");
  if (study.confidence) options.push(makeOptions("How sure?\n1 = a guess, 5 = certain", "second", [1, 2, 3, 4, 5].map((value) => [value, value])));
  if (study.protocol === "artefacts") options.push(makeOptions("Kind", "second", study.kinds.map((kind) => [kind, kind])));
  if (options[1]) Object.assign(options[1], { id: "more" }).classList.add(study.confidence ? "sure" : "kind");
  get("options").replaceChildren(...options);
  for (const target of document.querySelectorAll(".controls")) {
    const controls = get("controls").content.cloneNode(true);
    if (study.protocol !== "pair2afc") controls.querySelector(".pairs").remove();
    const second = controls.querySelector(".second");
    if (options[1]) {
      second.querySelector("th").textContent = study.confidence ? "How sure" : "Kind";
      second.querySelector("kbd:last-child").textContent = study.confidence ? "5" : Math.min(study.kinds.length, 9);
    } else second.remove();
    target.replaceChildren(controls);
  }
  get("undo").onclick = () => viewers.forEach((viewer) => viewer.reset());
  get("alike").hidden = study.protocol !== "pair2afc";
  get("alike").onclick = toggleAlike;
  get("full").hidden = !document.fullscreenEnabled;
  get("full").onclick = toggleFull;
  get("ask-help").onclick = showHelp;
  get("download-part").onclick = () => store.download();
  get("download-part").hidden = !store.download;
  get("leave").onclick = async () => {
    if (!confirm(NEXT)) return;
    await store.leave();
    location.reload();
  };
  document.addEventListener("keydown", keys);
  document.addEventListener("pointerdown", () => (tabbed = false));
  document.addEventListener("submit", (event) => event.target.method !== "dialog" && event.preventDefault());
}

async function main() {
  get("waiting").hidden = true;
  const fragment = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  study = await insist(async () => (await request("study.json")).json(), "The study did not come");
  store = study.mode === "server" ? new Server(study, fragment) : new Browser(study, fragment);
  furnish();
  let session = null;
  let sentence = "";
  for (;;) {
    try {
      session ??= await insist(() => store.session(), "The study did not come");
      session ??= await welcome(sentence);
      session = await screens[session.stage](session);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // 401: the link is no longer valid
      [session, sentence] = [null, error.message];
      store.forget();
    }
  }
}

main().catch(async (error) => {
  console.error(error);
  await tell(`The page has stopped (${error.message}). What was confirmed is saved; load the page again to go on.`, "Load again");
  location.reload();
});
