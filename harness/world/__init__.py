"""The micro world: small pictures whose content is known, and everything needed to ask for them and to judge them.

A scene is one to six coloured shapes on a plain background, each in its own cell of a 3x3 grid (`scene`). `render`
draws it as 48x48 RGB. `grammar` turns structured constraints (specs) into prompts, layouts, one-fact corruptions and
yes/no questions, and splits specs into training and benchmark ones; `edits` does the same for edit instructions. `plan`
spells a scene as the text that the micro model writes before it draws; `vocabulary` lists every word of these texts.
`parse` recovers objects from any image, and `verifier` answers questions about the parse with a probability; neither
sees the prompt or its scene. `noise` weakens the verifier on purpose, `degrade` damages pictures. `version` names the
state of the world: results of different world versions do not compare.

Colours, shapes, sizes, textures, backgrounds and cells are integers everywhere; `scene` holds their names.
"""
