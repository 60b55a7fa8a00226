// What the mouse, a pen or fingers do on the stage: move it, zoom it, choose what is there.

function listenTo(stage) {
  const { svg } = stage;
  const pointers = new Map();
  let moved = 0;
  const distance = () => {
    const [a, b] = [...pointers.values()];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  };
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { left, top } = svg.getBoundingClientRect();
    const lines = event.deltaMode === 1 ? 16 : 1;
    stage.zoom(Math.exp(-event.deltaY * lines * 0.0015), event.clientX - left, event.clientY - top);
  }, { passive: false });
  svg.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    moved = 0;
  });
  svg.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const apart = pointers.size === 2 ? distance() : 0;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    moved += Math.abs(event.clientX - last[0]) + Math.abs(event.clientY - last[1]);
    if (moved > 4 && !svg.hasPointerCapture(event.pointerId)) svg.setPointerCapture(event.pointerId);
    if (apart) {
      const { left, top } = svg.getBoundingClientRect();
      stage.zoom(distance() / apart, event.clientX - left, event.clientY - top);
    } else {
      stage.view.x += event.clientX - last[0];
      stage.view.y += event.clientY - last[1];
      stage.later();
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    svg.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  svg.addEventListener("click", (event) => {
    if (moved > 4) return;
    const toggle = event.target.dataset.toggle;
    const thing = event.target.closest("[data-key]");
    stage.choose(toggle !== undefined ? `toggle${toggle}` : thing ? thing.dataset.key : "");
  });
  svg.addEventListener("dblclick", (event) => {
    const thing = event.target.closest("[data-scope]");
    if (thing) stage.choose(`toggle${thing.dataset.key.slice(1)}`);
  });
}
