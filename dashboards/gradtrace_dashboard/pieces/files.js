// Offers files: asks for the one that is wanted, and saves it as soon as it is there.

export default function ({ data, parentElement, setTriggerValue }) {
  const bar = parentElement.querySelector(".piece");
  bar.ask = (kind) => {
    bar.asked = Date.now();
    setTriggerValue("asked", { kind, at: bar.asked });
  };
  if (bar.kinds !== data.kinds.join()) bar.replaceChildren(...data.kinds.map((kind) => button(bar, kind)));
  bar.kinds = data.kinds.join();
  if (data.file && data.file.at === bar.asked) {
    bar.asked = null;
    save(data.file);
  }
}

function button(bar, kind) {
  const made = document.createElement("button");
  made.textContent = `⤓ ${kind}`;
  made.title = `Download as ${kind}`;
  made.onclick = () => bar.ask(kind);
  return made;
}

function save({ name, mime, text }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: mime }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
