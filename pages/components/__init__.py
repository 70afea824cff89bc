"""What pages share: the opened workspace, lists that play, figures, words and links."""
