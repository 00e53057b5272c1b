// A page that is written again and again as a study goes on. From disk, a page may neither read a file
// nor ask for one, but it may load pictures: serial.png is as many pixels wide as its version's number.

function follow(serial, arrived) {
  setInterval(() => {
    const probe = new Image();
    probe.onload = () => { if (probe.naturalWidth !== serial) arrived(); };
    probe.src = `serial.png?${Date.now()}`;
  }, 2000);
}
