"""What all judges that are vision-language models share: wording, spellings of yes and no, codecs, presets."""
