extern "C" double ShortAnswers(unsigned long bytes) {
  return bytes < 100 ? 1.0 : 0.0;
}
