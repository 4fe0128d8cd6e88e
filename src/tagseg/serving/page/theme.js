// Colour scheme: the system's, or the one that was chosen. Loaded before the first paint, so that nothing flashes.
(() => {
  const SCHEMES = ["auto", "light", "dark"];
  const kept = () => {
    try { return localStorage.getItem("tagseg-scheme"); } catch { return null; }
  };
  const apply = (scheme) => { document.documentElement.dataset.scheme = scheme; };
  apply(SCHEMES.includes(kept()) ? kept() : "auto");
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => { button.lastElementChild.textContent = document.documentElement.dataset.scheme; };
    show();
    button.addEventListener("click", () => {
      const next = SCHEMES[(SCHEMES.indexOf(document.documentElement.dataset.scheme) + 1) % SCHEMES.length];
      try { localStorage.setItem("tagseg-scheme", next); } catch { /* private windows keep nothing */ }
      apply(next);
      show();
    });
  });
})();
